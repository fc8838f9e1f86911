"""Otter (Li et al., 2023): OpenFlamingo taught to follow instructions; read only.

Asked with `<image>User: … GPT:<answer>`, it ends with `<|endofchunk|>`
(github.com/Luodian/Otter). No common server loads it.
"""

from __future__ import annotations

from vlm_app.families.words import CAPTION, ServedInWords
from vlm_app.types import Task


class Otter(ServedInWords):
    name = "otter"
    title = "Otter"
    prompts = CAPTION
    tasks = frozenset({Task.CHAT, *CAPTION})
    end = "<|endofchunk|>"
    control = ("<answer>", "<image>", "</s>", "<s>")


FAMILY = Otter()
