"""The folder of files: documents, videos and images as they were opened, each once."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from vlm_app.media.bare import bare_file

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


class FileFolder:
    """`<folder>/<sha[:2]>/<sha>`, named by the SHA-256 of the bytes, written once and never changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where a file lies. The hash becomes a path, so nothing else than a hash is taken."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"a file is named by 64 hexadecimal digits, found {sha256!r}")
        return self._folder / sha256[:2] / sha256

    def write(self, source: Path) -> tuple[str, int]:
        """Copies a file into the folder; returns the hash and the number of its bytes.

        The copy appears whole or not at all, and tells nothing beside its picture: no place, no
        device, no time. The hash is that of the copy, also should the source change meanwhile.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=".", suffix=".partial", dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as copy, source.open("rb") as file:
                digest, count = hashlib.sha256(), 0
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    count += copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            if bare_file(Path(partial)):
                digest, count = _hashed(Path(partial))
            path = self.path(digest.hexdigest())
            path.parent.mkdir(exist_ok=True)
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
        return digest.hexdigest(), count

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)


def _hashed(path: Path) -> tuple[Any, int]:
    """The SHA-256 of a file, and its bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256"), file.tell()
