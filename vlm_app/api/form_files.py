"""The files of a form, counted while it goes by."""

from __future__ import annotations

import mimetypes
import re

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers

from vlm_app.errors import TooMuch
from vlm_app.limits import Limits
from vlm_app.media.names import subject
from vlm_app.store.disk import Reservation, mb

FIELD_BYTES = 10_000  # of a field that is no file: it is read into memory
NO_VIDEO = re.compile(r"image/.*|text/.*|application/(?:pdf|json|zip|x-zip-compressed)")


class FormFiles:
    """Follows the pieces of a form with files. Counts without keeping any of them.

    `room` is what is reserved on the disk for whoever sends it.
    """

    def __init__(self, headers: Headers, allowed: Limits, room: Reservation) -> None:
        _, options = parse_options_header(headers.get("content-type", ""))
        boundary = options.get(b"boundary")
        self.bytes = 0
        self._allowed = allowed
        self._room = room
        self._files = 0
        self._size = 0  # of the file that comes now
        self._most: int | None = None
        self._name = ""
        self._field, self._value = b"", b""
        calls = {
            "on_part_begin": self._on_part, "on_part_data": self._on_data,
            "on_header_field": self._on_field, "on_header_value": self._on_value,
            "on_header_end": self._on_header,
        }  # fmt: skip
        self._parser = MultipartParser(boundary, calls) if boundary else None  # type: ignore[arg-type]

    def take(self, piece: bytes) -> None:
        """The next piece of the body. Raises `TooMuch`."""
        self.bytes += len(piece)
        if not self._room.covers(self.bytes):
            raise TooMuch(
                f"At most {mb(self._allowed.disk or 0)} are kept for {self._allowed.a_role}, and this upload "
                f"is larger than the {mb(self._room.most or 0)} that are left: delete what you no longer "
                "need, and try again."
            )
        try:
            if self._parser is not None and piece:
                self._parser.write(piece)
        except MultipartParseError:
            self._parser = None  # whoever reads it, refuses it

    def _on_part(self) -> None:
        self._size, self._most = 0, None

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        field, value = self._field.lower(), self._value
        self._field, self._value = b"", b""
        if field != b"content-disposition":
            return
        _, options = parse_options_header(value)
        self._most = None
        if b"filename" in options:
            self._begin(options[b"filename"].decode("utf-8", "replace"))

    def _begin(self, name: str) -> None:
        allowed = self._allowed
        self._files += 1
        if self._files > allowed.files:
            raise TooMuch(
                f"At most {allowed.files} files come in one upload, and here are more: upload them in "
                "several goes."
            )
        self._name = name
        other = allowed.document_bytes or max(allowed.bytes, allowed.video_bytes)
        no_video = NO_VIDEO.fullmatch(mimetypes.guess_type(name)[0] or "")
        self._most = other if no_video else max(other, allowed.video_bytes)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._most is None and self._size > FIELD_BYTES:
            raise TooMuch(
                f"A field of an upload that is no file may hold at most {FIELD_BYTES:,} bytes, and here are "
                "more: send it as a file, with a name."
            )
        if self._most is not None and self._size > self._most:
            raise TooMuch(
                f"{subject(self._name, 'file')} is larger than the {mb(self._most)} that "
                f"{self._allowed.a_role} may upload in one file: make it smaller first."
            )
