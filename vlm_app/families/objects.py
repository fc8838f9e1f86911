"""Finding JSON-like objects with places in an answer, object by object, while it is written.

Models that answer in JSON wrap it in prose and fences, leave commas too many or too few,
double a brace, nest objects, and are cut off in the middle. So nothing here loads an
answer as JSON: a forgiving scanner goes over it from left to right, and an object that
holds a place (`bbox_2d`, `point_2d` ...) is told as soon as it is closed. Brackets that
hold no place are prose as they stand, and so is what a model thinks between `<think>` and
`</think>`: its drafts are no regions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vlm_app.families.base import Asked, Parsed, held
from vlm_app.families.reading import LONGEST, Reader, box, numbers, point, polygon
from vlm_app.families.scanning import Pairs, Scanner, State, Value, strings
from vlm_app.types import Shape, Task

_PLACES = ("bbox_2d", "box_2d", "point_2d", "bbox", "box", "bounding_box", "point")
_LABELS = ("label", "name", "category", "class", "class_name", "object", "type")
_TEXTS = ("text_content", "text", "content", "transcription")
_NEVER = re.compile("(?!)")
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_LINE = r"(?:(?<=\n)|\A)[ \t]{0,3}"  # fences stand at the start of a line
_START = re.compile(
    rf"(?P<bracket>[\[{{])|{_LINE}(?P<fence>```)[\w+-]{{0,20}}\s{{0,40}}|{_LINE}(?P<part>`{{1,2}})\Z|(?P<mark>```)"
)
_CLOSED = r"(?:\s*,?\s*[\]}])*"
_BETWEEN = re.compile(rf"{_CLOSED}\s*(?:,\s*)?(?=[\[{{]|```)|{_CLOSED}")
_UNSURE = re.compile(rf"{_CLOSED}\s*(?:,\s*)?`{{0,2}}\Z")


@dataclass(frozen=True, slots=True)
class Found:
    """An object with places: each is the numbers of a box (4), a point (2) or an outline."""

    label: str  # '' where it has none
    text: str | None  # what is written there, where the object says so
    places: tuple[tuple[float, ...], ...]


Tell = Callable[[Found], None]


def shaped(values: Sequence[float], width: float, height: float) -> Shape | None:
    """A point of two numbers, a box of four, an outline of more, on an image of so many units."""
    if len(values) == 2:
        return point(values, width, height)
    if len(values) == 4:
        return box(values, width, height)
    return polygon(values, width, height) if len(values) % 2 == 0 else None


def teller(reader: Reader, shape: Callable[[Sequence[float]], Shape | None], asked: Asked | None) -> Tell:
    """What most families do with an object: it is named by its label, or by what was asked."""
    task, query = asked or (Task.CHAT, "")

    def tell(found: Found) -> None:
        label = found.label or found.text or query
        read = found.text or (found.label or None if task is Task.OCR_REGIONS else None)
        reader.thing(label, *map(shape, found.places), read=read)

    return tell


def read_objects(
    text: str,
    reader: Reader,
    tell: Tell,
    *,
    whole: re.Pattern[str] = _NEVER,
    read: Callable[[re.Match[str]], None] = lambda match: None,
    opened: re.Pattern[str] = _NEVER,
    control: Iterable[str] = (),
    end: str = "",
) -> Parsed:
    """Read an answer of JSON-like objects, other markup and prose.

    Args:
        text: the raw answer so far.
        reader: what it is read into.
        tell: called with each object that holds a place, in the order in which they close.
        whole, read, opened: other markup, as in `reading.read_markup`.
        control: tokens that start with '<' and are no words: they are dropped.
        end: the token that closes an answer; what comes after it is not read.
    """
    tokens = tuple(token for token in (*control, end) if token)
    strip = re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or "(?!)")
    closed = bool(end) and end in text  # then nothing more comes, and nothing is held back
    size = text.index(end) if closed else len(text)
    walk = _Walk(reader, tell)

    def spoken(start: int, stop: int, last: bool) -> None:
        # Markup may end where '<' follows, also that of '<think>' or of the end.
        for match in whole.finditer(text, start, stop if last else stop + 1):
            if match.end() <= stop:
                walk.read(strip.sub("", text[start : match.start()]), last=False)
                read(match)
                start = match.end()
        tail = text[start:stop]
        unfinished = opened.search(text, start) if last else None
        if unfinished is not None and stop - unfinished.start() <= LONGEST:
            tail = text[start : unfinished.start()]
        elif last:
            tail = held(tail, tokens)
        walk.read(strip.sub("", tail), last=last)

    position = 0
    for thought in _THOUGHT.finditer(text, 0, size):
        spoken(position, thought.start(), last=False)
        reader.prose(strip.sub("", thought.group() if closed else held(thought.group(), tokens)))
        position = thought.end()
    spoken(position, size, last=not closed)
    return reader.parsed()


class _Walk:
    """Goes over an answer piece by piece; the last piece may still go on."""

    def __init__(self, reader: Reader, tell: Tell) -> None:
        self._reader = reader
        self._tell = tell
        self._dropped = False  # the fence around objects: its other end is dropped as well
        self._fenced = False  # a fence around prose is open
        self._after = False  # an object has just been told

    def read(self, text: str, *, last: bool) -> None:
        position: int | None = 0
        while position is not None:
            position = self._step(text, position, last)

    def _step(self, text: str, position: int, last: bool) -> int | None:
        """Read up to the next bracket or fence, and what it opens; where to go on, or None at the end."""
        if self._after:
            if last and _UNSURE.match(text, position):
                return None
            self._after = False
            if between := _BETWEEN.match(text, position):
                position = between.end()
                closing = self._dropped and text.startswith("```", position)
                self._reader.prose(" " if between.group()[-1:].isspace() and not closing else "")
        start = _START.search(text, position)
        if start is None:
            unsure = r"`{1,2}\Z" if last and self._dropped else "(?!)"  # may close the fence
            self._reader.prose(re.sub(unsure, "", text[position:]))
            return None
        self._reader.prose(text[position : start.start()])
        if start["bracket"]:
            return self._bracket(text, start.start(), start.start(), last)
        if start["part"] and not self._fenced:
            if not last:
                self._reader.prose(start.group())
            return None
        return self._fence(text, start, last)

    def _fence(self, text: str, start: re.Match[str], last: bool) -> int | None:
        opens = start["fence"] and not (self._dropped or self._fenced)
        if opens and start.end() < len(text) and text[start.end()] in "[{":
            return self._bracket(text, start.end(), start.start(), last)
        if opens and start.end() == len(text) and last:
            return None
        if self._dropped:
            self._dropped = False
            return text.index("```", start.start()) + 3
        behind = start.end() if start["part"] else text.index("```", start.start()) + 3
        self._reader.prose(text[start.start() : behind])
        self._fenced ^= not start["part"]
        return behind

    def _bracket(self, text: str, bracket: int, start: int, last: bool) -> int | None:
        """Read the value that a bracket opens; `start` is that of the fence before it."""
        scan = Scanner(text, bracket, _placed, LONGEST).scan()
        for pairs, name, _ in scan.objects:
            self._tell(_found(pairs, name))
        self._after = bool(scan.objects)
        if scan.objects and start < bracket:
            self._dropped = True
        if scan.state is State.OPEN and last:
            return None
        if scan.objects:
            return scan.end if scan.state is State.WHOLE else scan.objects[-1][2]
        behind = scan.end if scan.state is State.WHOLE else bracket + 1
        self._reader.prose(text[start:behind])
        self._fenced ^= start < bracket
        return behind


def _placed(pairs: Pairs) -> bool:
    return any(key.lower() in _PLACES for key, _ in pairs)


def _found(pairs: Pairs, name: str) -> Found:
    places = [place for key, value in pairs if key.lower() in _PLACES for place in _places(key, value)]
    others = [(key.lower(), value) for key, value in pairs if key.lower() not in _PLACES]
    text = _said(others, _TEXTS)
    label = (
        _said(others, _LABELS)
        or ("" if text else name)
        or text
        or next(filter(None, strings(tuple(others))), "")
    )
    return Found(label.strip(), text, tuple(places))


def _said(pairs: Sequence[tuple[str, Value]], keys: Sequence[str]) -> str | None:
    """The first string (or number) under one of these keys, the likeliest key first."""
    for wanted in keys:
        for key, value in pairs:
            if key == wanted and isinstance(value, str | float) and str(value).strip():
                return f"{value:g}" if isinstance(value, float) else value
    return None


def _places(key: str, value: Value) -> list[tuple[float, ...]]:
    """The numbers of one place, or of several in a list; a box may be given by two corners."""
    if isinstance(value, str):
        return [tuple(numbers(value))]
    parts = value if isinstance(value, list) else []
    flat = tuple(part for part in parts if isinstance(part, float))
    if flat:
        return [flat] if len(flat) == len(parts) else []
    several = [place for part in parts if isinstance(part, list) for place in _places(key, part)]
    corners = "point" not in key.lower() and [len(place) for place in several] == [2, 2]
    return [several[0] + several[1]] if corners else several
