"""RapidOCR: an engine that reads printed text, with PP-OCR's networks inside its package.

Sources: https://github.com/RapidAI/RapidOCR, PP-OCR (https://arxiv.org/abs/2009.09941). It is
no language model: nothing is encoded for it, and the regions come from `vlm_app.ocr` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_app.errors import ModelUnavailable
from vlm_app.families.base import Asked, Family, Parsed, Size
from vlm_app.types import Seen, Task, Turn


class RapidOCR(Family):
    """Reads every picture of the last message, one after the other, and nothing of what was said."""

    name = "rapidocr"
    title = "RapidOCR"
    tasks = frozenset({Task.OCR, Task.OCR_REGIONS})
    package = "rapidocr"
    last_message_only = True
    verified = "2026-11-21, AMD EPYC, 2 cores"

    def prompt(self, task: Task, query: str) -> str:
        return "Read the text." if task is Task.OCR else "Read the text with places."

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        raise ModelUnavailable(
            "RapidOCR takes no prompt and learns nothing: choose a model that is asked in words."
        )

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        """The text as it is: its regions are not written in it."""
        return Parsed(text)


FAMILY = RapidOCR()
