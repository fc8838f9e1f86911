"""The pictures that rows name, opened by the decode worker, never here."""

from __future__ import annotations

import base64
import binascii
import re
from collections import OrderedDict
from pathlib import Path
from urllib.parse import unquote_to_bytes

from vlm_app.errors import BadInput
from vlm_app.finetune.uploads.folder import Folder
from vlm_app.finetune.uploads.rows import BadRow
from vlm_app.limits import Limits
from vlm_app.media import open_image
from vlm_app.types import Picture

_KEPT = 4  # pictures that the next rows may ask for again
_DATA = re.compile(r"data:[^,;]*((?:;[^,;]*)*),", re.IGNORECASE)
_SENT = re.compile(r"[A-Za-z0-9+/\s]{200,}={0,2}\s*")  # base64 without the words that should come before it


class Opener:
    """Opens the pictures of a folder's rows."""

    def __init__(self, folder: Folder, allowed: Limits | None = None) -> None:
        self._folder = folder
        self._allowed = allowed
        self._last: OrderedDict[tuple[str, Path], Picture | str] = OrderedDict()

    def open(self, name: str, table: Path) -> Picture:
        """A picture by its name in a row of `table`, or its data URI. Raises `BadRow`."""
        key = (name, table)
        if key not in self._last:
            self._last[key] = self._opened(name, table)
            while len(self._last) > _KEPT:
                self._last.popitem(last=False)
        self._last.move_to_end(key)
        found = self._last[key]
        if isinstance(found, str):
            raise BadRow(found)
        return found

    def _opened(self, name: str, table: Path) -> Picture | str:
        try:
            source = _bytes(name)
            if source is not None:
                return open_image(source, limits=self._allowed)
            return open_image(self._folder.picture(name, table), name=name, limits=self._allowed)
        except BadInput as error:
            return f"its picture: {error.sentence.rstrip('.')}"
        except BadRow as error:
            return str(error)


def _bytes(name: str) -> bytes | None:
    """What a data URI holds; None for the name of a file."""
    head = _DATA.match(name)
    try:
        if head is not None:
            rest = name[head.end() :]
            return base64.b64decode(rest, validate=False) if "base64" in head[1] else unquote_to_bytes(rest)
        return base64.b64decode(name) if _SENT.fullmatch(name) else None
    except (binascii.Error, ValueError) as error:
        raise BadRow("its picture is no base64") from error
