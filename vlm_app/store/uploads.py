"""Who uploaded what lies in the folder of uploads, where files are named by what they hold.

Of each upload there is an empty file in a folder of its owner, so that it is known after a restart,
too, and what two owners uploaded stays until both have let it go.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vlm_app.store.disk import size_below

UPLOADS = "cache/uploads"  # of the data folder
UPLOADERS = "cache/uploaders"
_NAME = re.compile(r"[0-9a-zA-Z_-]{8,128}")


class Uploads:
    """The uploads of a data folder: folders of files within `folder`."""

    def __init__(self, data: Path) -> None:
        self.folder = (data / UPLOADS).resolve()
        self._owners = data / UPLOADERS

    def came(self, owner: str, paths: Iterable[Path]) -> None:
        """An owner uploaded these. What does not lie in the folder of uploads is passed over."""
        for path in paths:
            name = self._name(path)
            if name:
                mark = self._of(owner) / name
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.touch()

    def has(self, owner: str, name: str) -> bool:
        """Whether the folder of that name is an upload of this owner, too."""
        return _NAME.fullmatch(name) is not None and (self._of(owner) / name).exists()

    def count(self, owner: str) -> int:
        """How many of an owner's uploads are still there."""
        return sum((self.folder / name).is_dir() for name in self._names(owner))

    def bytes(self, owner: str) -> int:
        """How much of the disk an owner's uploads take that are still there."""
        return sum(size_below(self.folder / name) for name in self._names(owner))

    def forget(self, owner: str) -> int:
        """Removes an owner's uploads, but those that somebody else uploaded too; how many they were."""
        count = 0
        for name in self._names(owner):
            (self._of(owner) / name).unlink(missing_ok=True)
            count += (self.folder / name).is_dir()
            if not any(self._owners.glob(f"*/{name}")):
                shutil.rmtree(self.folder / name, ignore_errors=True)
        with suppress(OSError):
            self._of(owner).rmdir()
        return count

    def _name(self, path: Path) -> str:
        """The folder among the uploads in which a file lies."""
        with suppress(ValueError):
            parts = path.resolve().relative_to(self.folder).parts
            return parts[0] if len(parts) > 1 and _NAME.fullmatch(parts[0]) else ""
        return ""

    def _names(self, owner: str) -> list[str]:
        folder = self._of(owner)
        return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []

    def _of(self, owner: str) -> Path:
        return self._owners / hashlib.sha256(owner.encode()).hexdigest()
