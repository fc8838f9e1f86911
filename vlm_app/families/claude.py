"""Claude with images, by protocol: chat, captions and reading, in words.

Anthropic's guide to vision lists spatial reasoning among the limits, so no boxes are asked for.
"""

from __future__ import annotations

from vlm_app.families.words import READS, ServedInWords
from vlm_app.types import Task


class Claude(ServedInWords):
    name = "claude"
    title = "Claude"
    servers = ("Anthropic's API",)
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})


FAMILY = Claude()
