"""Labels and boxes in tags, as several families write them.

`<ref>cat</ref><box>[[x0, y0, x1, y1], [x0, y0, x1, y1]]</box>`: a label, then its places.
The label is shown as soon as its places begin, and each place when its bracket closes, so
an answer that was cut off keeps what it had. Places without a label take the asked query.

To most models the tags are special tokens, which some servers leave out of an answer
(llama.cpp, Ollama): `cat[[x0, y0, x1, y1]]` is then read as well, where places were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vlm_app.errors import ModelUnavailable
from vlm_app.families.base import Family, Parsed
from vlm_app.families.reading import Reader, box, numbers, point, polygon, read_markup, scaled
from vlm_app.types import Point, Region, Shape

_NUMBER = r"-?\d{1,7}(?:\.\d{1,7})?"
_PAIR = rf"\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)"
# [x0, y0, x1, y1] or (x0,y0),(x1,y1); a bracket of two numbers is a point.
_PLACE = re.compile(
    rf"\[\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}}\s*,?\s*\]|{_PAIR}\s*,?\s*{_PAIR}|\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]"
)
_LABEL, _SPACE = 300, 20  # characters, at most
_FOUR = rf"\[\s?{_NUMBER}(?:\s?,\s?{_NUMBER}){{3}}\s?\]"
_BARE = rf"\s?(?P<bare>\[\s?{_FOUR}(?:\s?,\s?{_FOUR}){{0,60}}\s?\])"
_OPEN_BARE = r"\s?\[[\d\s.,\[\]-]{0,1500}\Z"


@dataclass(frozen=True)
class Tags:
    """The tags around a label and those around its places; all are single tokens to most models."""

    label: tuple[str, str]
    places: tuple[tuple[str, str], ...]
    whole: re.Pattern[str] = field(init=False)
    opened: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        start, end = map(re.escape, self.label)
        first = "|".join(re.escape(tag) for tag, _ in self.places)
        last = "|".join(re.escape(tag) for _, tag in self.places)
        word = rf"(?:(?!{start}|{end}|{first}).){{0,{_LABEL}}}"
        whole = (
            rf"(?:{start}(?P<label>{word}){end}\s{{0,{_SPACE}}})?"
            rf"(?:{first})(?P<places>[\d\s.,;:()\[\]{{}}+-]*)(?P<closed>{last})?"
        )
        opened = rf"{start}{word}(?:{end}\s{{0,{_SPACE}}}(?:<[^<>]{{0,16}})?)?\Z"
        object.__setattr__(self, "whole", re.compile(whole, re.DOTALL))
        object.__setattr__(self, "opened", re.compile(opened, re.DOTALL))

    @property
    def tokens(self) -> tuple[str, ...]:
        return (*self.label, *(tag for pair in self.places for tag in pair))

    def plain(self, query: str) -> str:
        """A query in which these tags are no tags any more: `<ref>` becomes `< ref>`."""
        for tag in self.tokens:
            query = query.replace(tag, f"{tag[0]} {tag[1:]}")
        return query


def read_tagged(
    text: str,
    reader: Reader,
    tags: Tags,
    side: float,
    *,
    query: str = "",
    control: Iterable[str] = (),
    end: str = "",
    bare: bool = False,
) -> Parsed:
    """Read an answer whose regions are tagged; `side` is the number that means a whole side.

    Where that is not known it is 0: then it is 1 for a place with no number above 1, and else 1000.
    `bare` boxes, in double brackets without tags, belong to the words before them on their line.
    """

    def read(match: re.Match[str]) -> None:
        if alone := match.groupdict().get("bare"):
            words = reader.out.rpartition("\n")[2].strip()
            (reader.behind if words else reader.thing)(words or query, *shapes(alone, side))
            return
        found = shapes(match["places"], side, closed=match["closed"] is not None)
        label = match["label"]
        if label is not None and label.strip():
            reader.thing(label, *found)
        else:
            for shape in found:
                reader.thing(query, shape)

    whole, opened = tags.whole, tags.opened
    if bare:
        whole = re.compile(f"{whole.pattern}|{_BARE}", re.DOTALL)
        opened = re.compile(f"{opened.pattern}|{_OPEN_BARE}", re.DOTALL)
    control = (*control, *tags.tokens)
    return read_markup(text, reader, whole, read, opened=opened, control=control, end=end)


def shapes(text: str, side: float, *, closed: bool = True) -> list[Shape]:
    """The boxes and points in a list of numbers, those on the image; what is not closed may still grow."""
    places: Sequence[str] = _PLACE.findall(text)
    if not places and closed:
        places = re.findall(_PAIR, text) or _bare(text)
    found = (_shape(numbers(place), side) for place in places)
    return [shape for shape in found if shape is not None]


def _bare(text: str) -> list[str]:
    """Numbers without brackets: all of them are one place, of two, four or eight."""
    return [text] if not re.search(r"[\[(]", text) and len(numbers(text)) in (2, 4, 8) else []


def _shape(values: Sequence[float], side: float) -> Shape | None:
    side = side or (1 if max(values) <= 1 else 1000)
    if len(values) == 8:
        return polygon(values, side, side)
    return box(values, side, side) if len(values) == 4 else point(values, side, side)


def begun(*openings: str) -> str:
    """A pattern for a text's last piece that may still become one of these openings."""
    starts = {opening[:count] for opening in openings for count in range(1, len(opening) + 1)}
    return rf"(?:{'|'.join(map(re.escape, sorted(starts, key=len, reverse=True)))})\Z"


def labelled_boxes(
    family: Family, regions: Sequence[Region], side: float, most: float | None = None
) -> list[tuple[str, list[list[int]]]]:
    """Each label with its boxes in whole units, in the order in which the labels first come."""
    from vlm_app.grounding import bounds

    found: dict[str, list[list[int]]] = {}
    for one in regions:
        if isinstance(one.shape, Point):
            raise ModelUnavailable(
                f"{family.title} writes boxes, found a point for '{one.label}': draw a box around it."
            )
        found.setdefault(one.label, []).append(scaled(bounds(one.shape).xyxy, side, side, most))
    return list(found.items())


def centre(region: Region) -> Point:
    """The point that stands for a region where a family writes points only."""
    from vlm_app.grounding import bounds

    around = bounds(region.shape)
    return Point((around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2)
