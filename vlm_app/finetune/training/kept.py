"""Tensors by key, in one file: what is kept costs no memory that the system cannot take back."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

Leaves = list[Any]  # of one output of a tower: tensors, and what else it says
Looks = list[Leaves]  # of all calls of a tower for one row
_SHARE = 2  # of what is free on the disk, at most one in so many bytes is taken


class NoRoom(Exception):
    """The disk has no room for more."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in the file."""

    start: int
    dtype: torch.dtype
    shape: torch.Size


class Kept:
    """Outputs of a tower by key, in a file of this folder that is made when it is needed.

    Reading one back is a copy of its bytes, which the system still has in memory where it has room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._places: dict[str, Looks] = {}
        self._end = self._most = 0

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def put(self, key: str, looks: Looks) -> None:
        """Keep these under a key. Raises `NoRoom` when that would take too much of the disk."""
        self._places[key] = [[self._written(leaf) for leaf in leaves] for leaves in looks]

    def get(self, key: str) -> Looks:
        """What `put` was given, on the CPU."""
        return [[self._read(leaf) for leaf in leaves] for leaves in self._places[key]]

    def clear(self) -> None:
        """Forget everything, and remove the file."""
        self._places.clear()
        self._end = 0
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)
            self._file = None

    def _written(self, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        file = self._opened()
        data = leaf.detach().cpu().contiguous()
        if self._end + data.nbytes > self._most:
            raise NoRoom
        place = _Place(self._end, data.dtype, data.shape)
        try:
            file.seek(place.start)
            whole = file.write(data.reshape(-1).view(torch.uint8).numpy().data) == data.nbytes
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise NoRoom from error
        if not whole:  # the last bytes of a disk are written without an error
            raise NoRoom
        self._end += data.nbytes
        return place

    def _read(self, leaf: Any) -> Any:
        if not isinstance(leaf, _Place):
            return leaf
        data = torch.empty(leaf.shape, dtype=leaf.dtype)
        file = self._opened()
        file.seek(leaf.start)
        file.readinto(data.reshape(-1).view(torch.uint8).numpy().data)  # type: ignore[attr-defined]
        return data

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._most = shutil.disk_usage(self._folder).free // _SHARE
            self._file = (self._folder / "features").open("w+b", buffering=0)
        return self._file
