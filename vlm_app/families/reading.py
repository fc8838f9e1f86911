"""How the parsers of all families build an answer: from left to right, nothing taken back.

A parser finds its family's markup and says to a `Reader` what it means; `read_markup`
walks over an answer whose markup is a pattern, and holds back what is not finished yet.
Coordinates become fractions of the image by `box`, `point` and `polygon`, which put right
what models get wrong: reversed corners, small overshoot, places far outside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

from vlm_app.errors import BadInput
from vlm_app.families.base import Parsed
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape

LONGEST = 2000  # characters: unfinished markup longer than that is prose after all
_OVERSHOOT = 0.1  # of a side: what lies farther outside than that is no place on the image
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")


class Reader:
    """Builds text and regions. What was written is never changed, so a longer answer only adds.

    `image` is the index of the image that regions lie on where the family does not say.
    """

    def __init__(self, image: int = 0) -> None:
        self._image = image
        self._out = ""
        self._gap = ""  # white space that waits for what follows
        self._listed = False  # nothing was written since the last thing
        self._regions: list[Region] = []

    def parsed(self) -> Parsed:
        return Parsed(self._out, tuple(self._regions))

    @property
    def out(self) -> str:
        """The text so far."""
        return self._out

    @property
    def regions(self) -> Sequence[Region]:
        return self._regions

    def prose(self, text: str) -> None:
        """Words as they stand. White space waits for what follows it, at the start it is dropped."""
        body = self._gap + text
        words = body.rstrip()
        self._gap = body[len(words) :]
        if words:
            self._out += words if self._out else words.lstrip()
            self._listed = False

    def thing(
        self, label: str, *shapes: Shape | None, read: str | None = None, image: int | None = None
    ) -> None:
        """Something that the answer names, with its places: the label is written, all regions share its span.

        After another thing the label stands behind a comma, in prose as it stands. Shapes
        that are None (nothing could be read) are left out; `read` is text read there.
        """
        label = label.strip()
        span = self._name(label) if label else None
        self._add(label, shapes, read, image, span)

    def behind(
        self, label: str, *shapes: Shape | None, read: str | None = None, image: int | None = None
    ) -> None:
        """Places of words that were just written: the text ends with `label`."""
        start = len(self._out) - len(label)
        found = bool(label) and self._out.endswith(label)
        self._add(label, shapes, read, image, (start, len(self._out)) if found else None)

    def _add(
        self,
        label: str,
        shapes: Sequence[Shape | None],
        read: str | None,
        image: int | None,
        span: tuple[int, int] | None,
    ) -> None:
        for shape in shapes:
            if shape is not None:
                where = self._image if image is None else image
                self._regions.append(Region(label or "object", shape, where, read, span=span))

    def _name(self, label: str) -> tuple[int, int]:
        if self._out:
            self._out += ", " if self._listed and not self._gap.strip(" \n") else self._gap
        self._gap = ""
        start = len(self._out)
        self._out += label
        self._listed = True
        return (start, len(self._out))


def read_markup(
    text: str,
    reader: Reader,
    whole: re.Pattern[str],
    read: Callable[[re.Match[str]], None],
    *,
    opened: re.Pattern[str],
    control: Iterable[str] = (),
    end: str = "",
) -> Parsed:
    """Read an answer whose markup is a pattern.

    Args:
        text: the raw answer so far.
        reader: what it is read into.
        whole: one finished piece of markup; `read` is called with each match. What lies
            between is prose.
        opened: markup that is not finished yet: searched in what follows the last match,
            it must reach to the end (`\\Z`), and is held back from where it starts.
        control: tokens that are no words: they are dropped from prose.
        end: the token that closes an answer; what comes after it is not read.
    """
    tokens = tuple(token for token in (*control, end) if token)
    closed = bool(end) and end in text
    text = text.partition(end)[0] if closed else text
    dropped = re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")
    position = 0
    for match in whole.finditer(text):
        reader.prose(dropped.sub("", text[position : match.start()]))
        read(match)
        position = match.end()
    tail = text[position:]
    shown = tail[: _unfinished(tail, opened, end if closed else "")]
    whole_tail = shown == tail and not closed  # nothing follows it yet
    reader.prose(dropped.sub("", _held(shown, tokens) if whole_tail else shown))
    return reader.parsed()


def _unfinished(tail: str, opened: re.Pattern[str], end: str) -> int:
    """Where unfinished markup starts. Before an `end`, what was shown while it was half written is words."""
    starts = []
    for count in range(max(len(end), 1)):
        found = opened.search(tail + end[:count])
        held = found is not None and len(tail) + count - found.start() <= LONGEST
        starts.append(found.start() if found and held else len(tail))
    return max(starts)


def _held(text: str, tokens: Sequence[str]) -> str:
    """`text` without a last piece that may still become one of `tokens`."""
    longest = max((len(token) for token in tokens), default=1) - 1
    for start in range(max(0, len(text) - longest), len(text)):
        if any(token.startswith(text[start:]) for token in tokens):
            return text[:start]
    return text


# --- coordinates --------------------------------------------------------------------------


def box(values: Sequence[float], width: float, height: float) -> Box | None:
    """The box (x0, y0, x1, y1) in units of which `width` and `height` make up the image.

    Corners may come in any order; None where it is no box on the image.
    """
    if len(values) != 4:
        return None
    xs, ys = sorted(values[0::2]), sorted(values[1::2])
    places = [_fraction(x, width) for x in xs] + [_fraction(y, height) for y in ys]
    x0, x1, y0, y1 = places
    if x0 is None or x1 is None or y0 is None or y1 is None:
        return None
    return Box(x0, y0, x1, y1)


def point(values: Sequence[float], width: float, height: float) -> Point | None:
    """The point (x, y) in units of which `width` and `height` make up the image, or None."""
    if len(values) != 2:
        return None
    x, y = _fraction(values[0], width), _fraction(values[1], height)
    return None if x is None or y is None else Point(x, y)


def polygon(values: Sequence[float], width: float, height: float) -> Polygon | None:
    """The outline x0, y0, x1, y1, ... of three points or more; points off the image are left out."""
    pairs = zip(values[0::2], values[1::2], strict=False)
    corners = [corner for pair in pairs if (corner := point(pair, width, height))]
    return Polygon(tuple(corners)) if len(corners) >= 3 else None


def _fraction(value: float, side: float) -> float | None:
    share = value / side if side else math.nan
    if not -_OVERSHOOT <= share <= 1 + _OVERSHOOT:
        return None
    return min(max(share, 0.0), 1.0)


def numbers(text: str) -> list[float]:
    """All numbers in a text, as they stand; absurdly long ones are left out."""
    return [float(number) for number in _NUMBER.findall(text) if len(number) <= 24]


def asked_box(query: str) -> Box:
    """The box that a question about a region is about: four fractions of the image, x first.

    Raises `BadInput` when the query says no such box.
    """
    values = [float(number) for number in _NUMBER.findall(query)]
    found = box(values, 1, 1) if all(0 <= value <= 1 for value in values) else None
    if found is None:
        raise BadInput(
            "A question about a region needs its box: four fractions of the image as '0.1, 0.2, 0.5, 0.6', "
            f"found '{query}'."
        )
    return found


def corners(shape: Shape) -> tuple[float, ...]:
    """The coordinates that stand for a shape in an answer: of a box or point itself, else all points."""
    if isinstance(shape, Box):
        return shape.xyxy
    if isinstance(shape, Mask):
        return shape.box.xyxy
    if isinstance(shape, Polygon):
        return tuple(value for place in shape.points for value in (place.x, place.y))
    return (shape.x, shape.y)


def scaled(values: Iterable[float], width: float, height: float, most: float | None = None) -> list[int]:
    """Fractions x, y, x, y ... in whole units of which `width` and `height` make up the image.

    `most` is the largest number that the family writes, where that is less than a side.
    """
    sides = (width, height)
    units = [round(value * sides[index % 2]) for index, value in enumerate(values)]
    return [int(unit if most is None else min(unit, most)) for unit in units]
