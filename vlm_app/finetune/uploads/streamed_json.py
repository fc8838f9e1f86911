"""JSON of any size, one value after the other: only the value at hand is in memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from vlm_app.finetune.uploads.rows import LONGEST_ROW, BadRow

_CHUNK = 1 << 18  # bytes
_SPACE = " \t\r\n"
_END = ""


class JsonStream:
    """Walks over one JSON text from its start to its end.

    Everything here raises `BadRow` where the text is no JSON, ends too soon, is nested too deep, or
    holds a value of more than `LONGEST_ROW` characters; nothing that follows can be read then.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._place = 0
        self._over = False

    def peek(self) -> str:
        """The next character that is no space, or '' at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACE:
                    return self._text[self._place]
                self._place += 1
            if not self._more():
                return _END

    def elements(self) -> Iterator[Any]:
        """The values of the list that starts here."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        while True:
            yield self.value()
            if not self._goes_on("]"):
                return

    def members(self) -> Iterator[str]:
        """The keys of the object that starts here. Whoever asks for them takes the value of each."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise BadRow("it is no JSON: a key is no text")
            self._take(":")
            yield key
            if not self._goes_on("}"):
                return

    def value(self) -> Any:
        """The value that starts here, whole."""
        if self.peek() == _END:
            raise BadRow("the file ends in the middle of a row")
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._place)
            except RecursionError as error:
                raise BadRow("it is nested too deep") from error
            except ValueError as error:
                if not self._may_continue():
                    raise BadRow(self._why(error)) from error
                continue
            # A number may go on where the text that was read so far ends.
            if end == len(self._text) and not self._over and self._may_continue():
                continue
            self._place = end
            return value

    def skip(self) -> None:
        """Passes over the value that starts here; a list may have any length."""
        if self.peek() == "[":
            for _ in self.elements():
                pass
        else:
            self.value()

    def _why(self, error: ValueError) -> str:
        if len(self._text) - self._place > LONGEST_ROW:
            return f"it is longer than {LONGEST_ROW / 1e6:.0f} MB"
        if isinstance(error, json.JSONDecodeError) and error.pos < len(self._text) - 1:
            return f"it is no JSON ({error.msg})"
        return "the file ends in the middle of a row"

    def _may_continue(self) -> bool:
        """Reads as much again as the value has by now, so that long ones are not tried too often."""
        length = len(self._text) - self._place
        return length <= LONGEST_ROW and self._more(max(_CHUNK, length))

    def _more(self, count: int = _CHUNK) -> bool:
        if self._over:
            return False
        data = self._file.read(count)
        self._over = not data
        try:
            read = self._decode.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise BadRow("it is not UTF-8: save the file as UTF-8") from error
        self._text, self._place = self._text[self._place :] + read, 0
        return bool(data)

    def _take(self, character: str) -> None:
        found = self.peek()
        if found != character:
            told = (
                "the file ends in the middle of a row"
                if found == _END
                else f"it is no JSON ({character} is missing)"
            )
            raise BadRow(told)
        self._place += 1

    def _goes_on(self, close: str) -> bool:
        if self.peek() == close:
            self._take(close)
            return False
        self._take(",")
        return True
