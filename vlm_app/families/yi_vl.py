"""Yi-VL (01.AI, 2024): LLaVA's design with a normalized projection; Chinese and English.

No class in transformers reads its weights. Its prompt is `### Human: <image_placeholder>`, the
question, `### Assistant:` (github.com/01-ai/Yi, VL/README.md), which the server writes; the
next `###` ends an answer. SGLang has it as `YiVLForCausalLM`.
"""

from __future__ import annotations

from vlm_app.families.words import READS, ServedInWords
from vlm_app.types import Task


class YiVL(ServedInWords):
    name = "yi_vl"
    title = "Yi-VL"
    servers = ("SGLang",)
    max_images = 1
    tasks = frozenset({Task.CHAT, *READS})
    end = "###"
    control = ("<|startoftext|>", "<|endoftext|>", "<|im_end|>", "<image_placeholder>", "<unk>")


FAMILY = YiVL()
