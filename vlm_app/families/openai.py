"""GPT-4V, GPT-4o and their successors, by OpenAI's protocol: chat, captions and reading, in words.

OpenAI's guide to vision lists precise localization among the limits, so no boxes are asked for.
"""

from __future__ import annotations

from vlm_app.families.words import READS, ServedInWords
from vlm_app.types import Task


class OpenAI(ServedInWords):
    name = "openai"
    title = "GPT-4o"
    servers = ("OpenAI's API",)
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})


FAMILY = OpenAI()
