"""Pebble's processor: SmolVLM's, with a small tokenizer trained on the toy world's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vlm_app.pebble.markup import LOCATIONS, REF
from vlm_app.pebble.questions import dialogues
from vlm_app.pebble.world import draw_scene

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, SmolVLMProcessor

SIDE = 256  # pixels; what the encoder sees is always a square of this side
PATCH = 16
SHUFFLE = 2
IMAGE_TOKENS = (SIDE // PATCH // SHUFFLE) ** 2
IMAGE = "<image>"
END = "<end_of_utterance>"
_VOCABULARY = 640  # words and bytes, before the markers and the location tokens
_CORPUS_SCENES = 1500
_MARKERS = (
    "<pad>",
    "<|im_start|>",
    END,
    "<unk>",
    "<fake_token_around_image>",
    "<global-img>",
    IMAGE,
    "<video>",
    REF,
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE on the questions and answers of some scenes, without what is printed on signs.

    What is printed stays out of the corpus, so that it is spelt letter by letter: a word
    that Pebble has never seen is read like any other.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[*_MARKERS, *LOCATIONS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trainer.vocab_size += len(LOCATIONS)
    tokenizer.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<|im_start|>",
        eos_token=END,
        unk_token="<unk>",
        extra_special_tokens={
            "fake_image_token": "<fake_token_around_image>",
            "image_token": IMAGE,
            "video_token": "<video>",
            "end_of_utterance_token": END,
            "global_image_token": "<global-img>",
        },
        model_max_length=2048,
    )


def _corpus() -> list[str]:
    lines = []
    for seed in range(_CORPUS_SCENES):
        rng = np.random.default_rng([77, seed])
        scene = draw_scene(rng, kind="chart" if seed % 20 == 0 else "shapes", size=(256, 256))
        for dialogue in dialogues(rng, scene, 10):
            for question, answer in dialogue.turns:
                lines += [
                    f"User: {question}\nAssistant: {answer}\n",
                    f"User:{question}\nAssistant: {answer}\n",
                ]
    return [line.replace(REF, "") for line in lines]


def build_processor() -> SmolVLMProcessor:
    """The real processor class with Pebble's sizes: one square per image, no tiles."""
    from transformers import SmolVLMImageProcessor, SmolVLMProcessor, SmolVLMVideoProcessor
    from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

    frame = {"longest_edge": SIDE}
    return SmolVLMProcessor(
        SmolVLMImageProcessor(
            size={"longest_edge": 2 * SIDE},
            max_image_size=frame,
            do_image_splitting=False,
            resample=2,  # bilinear
            image_mean=[0.5, 0.5, 0.5],
            image_std=[0.5, 0.5, 0.5],
        ),
        build_tokenizer(),
        SmolVLMVideoProcessor(size=frame, max_image_size=frame),
        image_seq_len=IMAGE_TOKENS,
        chat_template=DEFAULT_CHAT_TEMPLATE,
    )
