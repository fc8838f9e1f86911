"""Files that grow line by line, of which a kill or a full disk leaves every whole line."""

from __future__ import annotations

import os
from pathlib import Path


def append_line(path: Path, line: bytes) -> None:
    """Adds a line, given without its end. Half a line at the end of the file is cut off first.

    Raises `OSError` on a full disk; what was there stays whole. One process writes at a time.
    """
    whole = line + b"\n"
    with path.open("a+b", buffering=0) as file:
        end = _whole_end(file.fileno())
        try:
            os.ftruncate(file.fileno(), end)
            if os.write(file.fileno(), whole) < len(whole):  # the rest found no room
                raise OSError(28, os.strerror(28))
        except OSError:
            os.ftruncate(file.fileno(), end)
            raise


def whole_lines(path: Path, since: int = 0) -> tuple[list[bytes], int]:
    """The lines from byte `since` on, and where the next ones begin; of no file none.

    Half a line at the end is left for the next time; a place beyond the end reads from the beginning.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(since if 0 <= since <= size else 0)
            begin, found = file.tell(), file.read()
    except FileNotFoundError:
        return [], 0
    whole = found[: found.rfind(b"\n") + 1]
    return whole.splitlines(), begin + len(whole)


def _whole_end(file: int) -> int:
    """Where the last whole line ends."""
    end = os.lseek(file, 0, os.SEEK_END)
    while end:
        begin = max(0, end - 65_536)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
