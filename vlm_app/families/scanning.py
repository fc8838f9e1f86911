"""A forgiving scanner for JSON-like values in what a model writes.

It takes what models really write: commas too many or too few, doubled braces, single
quotes, keys without quotes, quotes inside a text. It reads a value from left to right and
says at each place the same of a text and of a longer text that starts with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

Value: TypeAlias = "str | float | list[Value] | Pairs | None"
Pairs: TypeAlias = "tuple[tuple[str, Value], ...]"  # an object; its keys may repeat

_DEEPEST = 12  # brackets within brackets: more is no answer
_LONGEST = 20_000  # characters of an object from its place on: a page's table in HTML is one
_SPACE = re.compile(r"\s*")
_COMMAS = re.compile(r"[\s,]*")
_KEY = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WORDS = ("true", "false", "null", "None", "True", "False", "NaN")
# A quote closes a string when a comma, colon or bracket follows it; others are part of the text.
_STRINGS = {
    quote: re.compile(
        rf"{quote}((?:[^{quote}\\]|\\.|{quote}(?!\s*[,:\]}}]))*){quote}(?=\s*[,:\]}}])", re.DOTALL
    )
    for quote in "\"'"
}


class State(Enum):
    """How a scan ended."""

    WHOLE = "the value is closed"
    OPEN = "the text ends within the value"
    BROKEN = "this is no such value"


@dataclass(slots=True)
class Scan:
    """What a scan found: objects that were asked for, each with the key it stood under and its end."""

    state: State
    end: int
    objects: list[tuple[Pairs, str, int]] = field(default_factory=list)


class _Stop(Exception):
    """The scan ends here; `state` says how."""

    def __init__(self, state: State) -> None:
        self.state = state


class Scanner:
    """Scans one value of a text, that starts at `at` with a bracket.

    `wanted` says of an object, by its members so far, whether it is one to collect. When
    nothing was collected over `longest` characters the value counts as broken; an object that
    is one to collect may be longer.
    """

    def __init__(self, text: str, at: int, wanted: Callable[[Pairs], bool], longest: int) -> None:
        self._text = text
        self._at = at
        self._wanted = wanted
        self._longest = longest
        self._limit = at + longest
        self._spare = 0  # braces that were opened twice and may be closed twice
        self._found: list[tuple[Pairs, str, int]] = []

    def scan(self) -> Scan:
        try:
            self._value(0, "")
        except _Stop as stop:
            return Scan(stop.state, self._at, self._found)
        return Scan(State.WHOLE, self._at, self._found)

    def _end(self) -> int:
        return min(len(self._text), self._limit)

    def _missing(self) -> _Stop:
        """The text ends here: more may come, or it is too long already."""
        return _Stop(State.BROKEN if len(self._text) >= self._limit else State.OPEN)

    def _peek(self, skipped: re.Pattern[str] = _SPACE) -> str:
        """The next character after what is skipped."""
        match = skipped.match(self._text, self._at, self._end())
        assert match is not None  # the patterns match nothing as well
        self._at = match.end()
        if self._at >= self._end():
            raise self._missing()
        return self._text[self._at]

    def _value(self, depth: int, name: str) -> Value:
        first = self._peek()
        if depth > _DEEPEST:
            raise _Stop(State.BROKEN)
        if first == "{":
            return self._object(depth, name)
        if first == "[":
            return self._array(depth)
        if first in _STRINGS:
            return self._string(first)
        return self._number() if first in "-+.0123456789" else self._word()

    def _object(self, depth: int, name: str) -> Pairs:
        members: list[tuple[str, Value]] = []
        self._at += 1
        if self._peek() == "{":  # one answer in the Qwen3-VL cookbook doubles a brace
            self._at += 1
            self._spare += 1
        while (first := self._peek(_COMMAS)) != "}":
            key = self._string(first) if first in _STRINGS else self._match(_KEY)
            if self._peek() != ":":
                raise _Stop(State.BROKEN)
            self._at += 1
            members.append((key, self._value(depth + 1, key)))
            if self._wanted((members[-1],)):
                self._limit = max(self._limit, self._at + _LONGEST)
        self._at += 1
        pairs = tuple(members)
        if self._wanted(pairs):
            self._found.append((pairs, name, self._at))
            self._limit = self._at + self._longest
        return pairs

    def _array(self, depth: int) -> list[Value]:
        values: list[Value] = []
        self._at += 1
        while (first := self._peek(_COMMAS)) != "]":
            if first == "}" and self._spare:
                self._spare -= 1
                self._at += 1
            else:
                values.append(self._value(depth + 1, ""))
        self._at += 1
        return values

    def _string(self, quote: str) -> str:
        match = _STRINGS[quote].match(self._text, self._at, self._end())
        if match is None:
            raise self._missing()
        self._at = match.end()
        return _plain(match.group(1), quote)

    def _number(self) -> float:
        return float(self._match(_NUMBER))

    def _word(self) -> Value:
        rest = self._text[self._at : min(self._end(), self._at + 6)]
        for word in _WORDS:
            if rest.startswith(word):
                self._at += len(word)
                return {"true": "true", "True": "true", "false": "false", "False": "false"}.get(word)
        if self._at + len(rest) == self._end() and any(word.startswith(rest) for word in _WORDS):
            raise self._missing()
        raise _Stop(State.BROKEN)

    def _match(self, pattern: re.Pattern[str]) -> str:
        """A key or a number, which ends where something else follows."""
        match = pattern.match(self._text, self._at, self._end())
        if (match is None and self._end() - self._at <= 2) or (match and match.end() >= self._end()):
            raise self._missing()
        if match and re.fullmatch(r"[eE][-+]?", self._text[match.end() : self._end()]):
            raise self._missing()  # an exponent may be on its way
        if match is None or self._text[match.end()] not in " \t\r\n,:]}":
            raise _Stop(State.BROKEN)
        self._at = match.end()
        return match.group()


def strings(value: Value) -> Iterator[str]:
    """All strings of a value and of what lies in it, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)
    elif isinstance(value, tuple):
        for _, part in value:
            yield from strings(part)


def _plain(body: str, quote: str) -> str:
    """A string without its escapes; broken ones are left as they stand."""
    if quote == "'":
        body = body.replace("\\'", "'")
    escaped = re.sub(r'(\\.)|"', lambda found: found.group(1) or '\\"', body, flags=re.DOTALL)
    try:
        text = str(json.loads(f'"{escaped}"', strict=False))
    except ValueError:
        return body
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
