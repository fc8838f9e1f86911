"""Parquet files, read by a process of its own: its decoders are large, and a hostile file may break them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlm_app.finetune.uploads.rows import LONGEST_ROW
from vlm_app.media import wire

SECONDS = 60.0  # for the next row
MEMORY = 2_000_000_000  # bytes of address space, the libraries among them
_MAGIC = b"PAR1"
_ROOT = Path(__file__).resolve().parents[3]  # where `vlm_app` can be imported from


def is_parquet(head: bytes) -> bool:
    """Whether a file that begins so is parquet."""
    return head.startswith(_MAGIC)


def parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The rows as plain data, bytes as data URIs, names of classes instead of their numbers.

    The last one is a reason where the file is damaged: nothing after it can be read.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "vlm_app.finetune.uploads.parquet_child", str(path), str(MEMORY)],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    number = 0
    try:
        while (message := _next(process)) is not None:
            found = json.loads(message)
            if found == {}:  # the end
                return
            number += 1
            yield number, found["row"] if "row" in found else found["problem"]
        yield number + 1, "the file is damaged, or takes too long to read; nothing after it can be read"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _next(process: subprocess.Popen[bytes]) -> bytes | None:
    """The next message; None where the process died, or had to be killed because it took too long."""
    if process.stdout is None:
        raise RuntimeError("the reader of parquet has no pipe")
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    try:
        return wire.receive(process.stdout, 2 * LONGEST_ROW)  # type: ignore[arg-type]  # a pipe of bytes
    finally:
        timer.cancel()
        timer.join()
