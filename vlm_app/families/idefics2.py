"""Idefics2 (Hugging Face, 2024): SigLIP up to 980 pixels, a perceiver to 64 tokens, Mistral.

With `do_image_splitting` the processor adds four quarters to the whole image. Chat in
words; no boxes are documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.words import READS, TemplatedInWords
from vlm_app.types import Picture, Seen, Task


class Idefics2(TemplatedInWords):
    name = "idefics2"
    title = "Idefics2"
    native = "Idefics2ForConditionalGeneration"
    model_types = frozenset({"idefics2"})
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "<end_of_utterance>"
    control = ("<s>", "</s>", "<unk>", "<pad>", "<fake_token_around_image>", "<image>")
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_model",
        "connector": "model.connector",
        "language": "model.text_model",
    }

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        tiles = 5 if processor.image_processor.do_image_splitting else 1
        whole = inputs["pixel_attention_mask"][0, -1]  # the whole image comes behind its quarters
        height, width = int(whole.any(dim=1).sum()), int(whole.any(dim=0).sum())
        return Seen(size=(width, height), tiles=tiles, visual_tokens=tiles * processor.image_seq_len)


FAMILY = Idefics2()
