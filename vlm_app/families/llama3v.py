"""Llama3-V (2024): withdrawn by its authors, after it was shown to be MiniCPM-Llama3-V 2.5; read only.

Kept so that a conversation with it can still be read: words, with Llama 3's tokens.
"""

from __future__ import annotations

from vlm_app.families.words import CAPTION, ServedInWords
from vlm_app.types import Task


class Llama3V(ServedInWords):
    name = "llama3v"
    title = "Llama3-V"
    prompts = CAPTION
    max_images = 1
    tasks = frozenset({Task.CHAT, *CAPTION})
    end = "<|eot_id|>"
    control = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<image>")


FAMILY = Llama3V()
