"""The folder of images: each upright image once, under the hash of its pixels."""

from __future__ import annotations

import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from vlm_app.errors import NotFound
from vlm_app.media import png_bytes
from vlm_app.types import Picture

_SHA256 = re.compile(r"[0-9a-f]{64}")


class _OnDemand(io.RawIOBase):
    """A file that is open only while it is being read, so that any number may wait to be decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._path.open("rb") as file:
            file.seek(self._place)
            count = file.readinto(buffer)
        self._place += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence)
        self._place = (self._path.stat().st_size if start is None else start) + offset
        return self._place


class ImageFolder:
    """`<folder>/<sha[:2]>/<sha>.png`, written once and never changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where an image lies. The hash becomes a path, so nothing else than a hash is taken."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"an image is named by 64 hexadecimal digits, found {sha256!r}")
        return self._folder / sha256[:2] / f"{sha256}.png"

    def write(self, picture: Picture) -> None:
        """Puts the image into the folder, unless it is there. The file appears whole or not at all."""
        path = self.path(picture.sha256)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(png_bytes(picture.pixels))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def read(self, sha256: str, note: str) -> Picture:
        """The image; its pixels are read when they are first used, so that opening a long chat is quick.

        Raises `NotFound` when the file has gone or is damaged.
        """
        try:
            file = io.BufferedReader(_OnDemand(self.path(sha256)))
            return Picture(Image.open(file, formats=("PNG",)), sha256, note)
        except (OSError, ValueError) as error:
            raise NotFound(
                f"The image {sha256[:12]}… is missing from the data folder or damaged: upload it again."
            ) from error

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)
