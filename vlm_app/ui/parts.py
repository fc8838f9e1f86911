"""From the message box to a message: files opened, text and pictures in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.media import open_image
from vlm_app.settings import settings
from vlm_app.types import Part, Picture, Turn

PLACE = re.compile(r"\[image (\d+)\]", re.IGNORECASE)


def opened(files: Sequence[str]) -> tuple[Picture, ...]:
    """The pictures of uploaded files. Raises BadInput with a sentence that names the file."""
    most = settings().max_images
    if len(files) > most:
        raise BadInput(f"A message holds at most {most} images, found {len(files)}: leave some out.")
    return tuple(open_image(Path(file), name=Path(file).name) for file in files)


def ordered(text: str, pictures: Sequence[Picture]) -> tuple[Part, ...]:
    """Pictures first, then the text; `[image 2]` in the text places the second picture there."""
    placed: set[int] = set()
    parts: list[Part] = []
    at = 0
    for found in PLACE.finditer(text):
        number = int(found[1]) - 1
        if number not in placed and 0 <= number < len(pictures):
            parts += [text[at : found.start()].strip(), pictures[number]]
            placed.add(number)
            at = found.end()
    parts.append(text[at:].strip())
    first = [picture for number, picture in enumerate(pictures) if number not in placed]
    return (*first, *(part for part in parts if part))


def edited(turn: Turn, texts: Sequence[Sequence[str]]) -> tuple[Part, ...]:
    """A turn with new texts: pairs of the part's number (empty: added at the end) and its text."""
    changed = {int(number): text for number, text in texts if number.isdigit()}
    added = [text for number, text in texts if not number]
    kept = [
        changed.get(number, part) if isinstance(part, str) else part for number, part in enumerate(turn.parts)
    ]
    return (*kept, *added)


def message_of(value: Mapping[str, Any] | None) -> tuple[str, list[str]]:
    """Text and file paths of the message box."""
    value = value or {}
    return str(value.get("text") or ""), list(value.get("files") or [])
