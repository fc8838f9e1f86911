"""What was read, as plain text and as Markdown: located text in reading order, else the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vlm_app.grounding.formats.files import utf8
from vlm_app.grounding.formats.lines import in_order
from vlm_app.grounding.formats.result import Result
from vlm_app.types import Region

_MARKS = re.compile(r"([\\`*_\[\]<>|~&])|^(\s*)([#+=-])|^(\s*\d{1,9})([.)])(?=\s|$)", re.MULTILINE)
# The names that models which read documents give to a block.
_TITLE = re.compile(r"title|section[-_ ]?header(?:_level_([1-9]))?", re.IGNORECASE)
_ITEM = re.compile(r"list[-_ ]?item", re.IGNORECASE)


def plain_text(result: Result) -> bytes:
    """A line for each text, an empty line between images."""
    pages = ["\n".join(region.text or "" for region in texts) for _, texts in _pages(result)]
    return utf8(("\n\n".join(pages) if pages else result.text).rstrip() + "\n")


def markdown(result: Result) -> bytes:
    """A paragraph for each text, headings and list items where the model named them.

    Each image's name stands over its text where there are several. The answer of a model
    that gave no places is its own Markdown, and stays as it is.
    """
    pages = list(_pages(result))
    blocks = []
    for image, texts in pages:
        blocks += [f"## {_quiet(result.images[image].name)}"] if len(pages) > 1 else []
        blocks += [_block(region) for region in texts]
    return utf8(("\n\n".join(blocks) if pages else result.text).rstrip() + "\n")


def _pages(result: Result) -> Iterator[tuple[int, list[Region]]]:
    """The images that have located text, each with its texts in reading order."""
    for image in range(len(result.images)):
        texts = [region for region in result.on(image) if region.text]
        if texts:
            yield image, in_order(texts, result.images[image].size)


def _block(region: Region) -> str:
    text = _quiet(region.text or "")
    title = _TITLE.fullmatch(region.label)
    if title:
        level = min(int(title[1]) + 1, 6) if title[1] else 1
        return f"{'#' * level} {' '.join(text.split())}"
    return f"- {text}" if _ITEM.fullmatch(region.label) else text


def _quiet(text: str) -> str:
    """Text that Markdown shows as it is: no links, tags or headings that stand in an image."""
    return _MARKS.sub(lambda found: f"{found[2] or found[4] or ''}\\{found[1] or found[3] or found[5]}", text)
