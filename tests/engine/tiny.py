"""Tiny checkpoints with random weights, and a way to make them say what a test wants.

The classes, the processor, the encoding and the whole of `generate` are the real ones:
`speak` only decides which token has the largest logit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

from vlm_app.engine import LoadedModel
from vlm_app.media import picture_from
from vlm_app.types import Checkpoint, Picture, Request, Role, Sampling, Task, Turn

END = "<end_of_utterance>"
TILE = 64


def picture(colour: str = "red", size: tuple[int, int] = (300, 200)) -> Picture:
    return picture_from(Image.new("RGB", size, colour))


def request(*parts: Any, **more: Any) -> Request:
    """A user's turn, asked of Pebble; `tokens`, `temperature` and `seed` are the sampling."""
    tokens = more.pop("tokens", 12)
    sampling = Sampling(more.pop("temperature", 0.0), max_tokens=tokens, seed=more.pop("seed", None))
    turns = (*more.pop("before", ()), Turn(Role.USER, parts), *more.pop("after", ()))
    return Request(turns, more.pop("model", "pebble"), sampling=sampling, **more)


def row(folder: Path, **changes: Any) -> Checkpoint:
    facts = {"name": "Pebble", "family": "pebble", "tasks": frozenset(Task) - {Task.SEGMENT}}
    return Checkpoint(id="pebble", source=str(folder), **(facts | changes))


@cache
def pebble_processor() -> Any:
    """Pebble's processor, with a tokenizer trained on a few scenes only."""
    from vlm_app.pebble import processor

    with patch.object(processor, "_CORPUS_SCENES", 60):
        return processor.build_processor()


@cache
def tiled_processor() -> Any:
    """A processor of the smolvlm family, which cuts large images into tiles of 64 pixels."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        PreTrainedTokenizerFast,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )
    from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

    marks = ["<|endoftext|>", "<|im_start|>", END, "<fake_token_around_image>", "<global-img>", "<image>"]
    marks += [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(special_tokens=marks, initial_alphabet=letters, show_progress=False)
    tokenizer.train_from_iterator(["User: what is in the image?\nAssistant: a red circle."], trainer)
    frame = {"longest_edge": TILE}
    return SmolVLMProcessor(
        SmolVLMImageProcessor(size={"longest_edge": 4 * TILE}, max_image_size=frame),
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token="<|endoftext|>"),
        SmolVLMVideoProcessor(size=frame, max_image_size=frame),
        image_seq_len=4,
        chat_template=DEFAULT_CHAT_TEMPLATE,
    )


def save_pebble(folder: Path) -> Path:
    """A Pebble with random weights, a tenth of the real one's size."""
    import torch
    from transformers import LlamaConfig, SmolVLMConfig, SmolVLMForConditionalGeneration

    processor = pebble_processor()
    tokenizer = processor.tokenizer
    marks = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    widths = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    model = SmolVLMForConditionalGeneration(
        SmolVLMConfig(
            vision_config=widths | {"image_size": 256, "patch_size": 16},
            text_config=LlamaConfig(
                **widths,
                vocab_size=-(-len(tokenizer) // 64) * 64,
                max_position_embeddings=512,
                tie_word_embeddings=True,
                **marks,
            ),
            scale_factor=2,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            pad_token_id=marks["pad_token_id"],
        )
    )
    model.generation_config.update(**marks)
    model.to(torch.bfloat16).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@contextmanager
def speak(loaded: LoadedModel, text: str, pause: float = 0.0) -> Iterator[list[int]]:
    """The model says `text` (and then its end token for ever); yields the steps that it took.

    With `pause` each step takes so many seconds at least: who holds the model is still at it
    on a fast machine.
    """
    import torch

    ids = loaded.processor.tokenizer.encode(text, add_special_tokens=False)
    end = loaded.processor.tokenizer.convert_tokens_to_ids(END)
    steps: list[int] = []
    forward = loaded.model.forward

    @wraps(forward)  # `generate` looks at its arguments
    def spoken(*args: Any, **inputs: Any) -> Any:
        out = forward(*args, **inputs)
        time.sleep(pause)
        token = ids[len(steps)] if len(steps) < len(ids) else end
        steps.append(token)
        out.logits = torch.full_like(out.logits, -100.0)
        out.logits[..., token] = 100.0
        return out

    with patch.object(loaded.model, "forward", spoken):
        yield steps
