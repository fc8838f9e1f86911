"""NVLM-D-72B (NVIDIA, 2024): InternViT in tiles before Qwen2; chat and reading, in words.

Its own code is needed in process; vLLM has it as `NVLM_D_Model`. No boxes are documented.
"""

from __future__ import annotations

from vlm_app.families.words import READS, ServedInWords
from vlm_app.types import Task


class Nvlm(ServedInWords):
    name = "nvlm"
    title = "NVLM"
    servers = ("vLLM",)
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "<|im_end|>"
    control = ("<|im_start|>", "<|endoftext|>", "<|vision_pad|>", "<image>", "<Image>", "</Image>")


FAMILY = Nvlm()
