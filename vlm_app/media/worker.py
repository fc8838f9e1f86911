"""The decode worker: `python -m vlm_app.media.worker BYTES`, one job after another.

A request comes on standard input as two messages: JSON (the `kind` of the job and its
arguments) and the file, empty where the arguments name a path. The reply goes to standard
output as two messages: JSON, which holds `problem` where there is one, and the RGB bytes of
the `size` that it holds, or none. It ends when its standard input does. BYTES caps its memory,
so that a bomb dies here.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from PIL import Image, WebPImagePlugin  # noqa: F401  (WebP is used by every second upload: load it now)

from vlm_app.media import names, wire
from vlm_app.media.decode import Unreadable

# A kind of job and the module whose `work(arguments, data)` does it: it returns JSON values and
# the RGB bytes of their `size` (none where they hold no `size`), raises `Unreadable` with a
# sentence, or anything on broken bytes.
KINDS = {
    "image": "vlm_app.media.decode",
    "document": "vlm_app.media.pdf_pages",
    "video": "vlm_app.media.video_reading",
}
MOST_BYTES = 1 << 40  # the app has checked the size; this side trusts it


def main(memory: int) -> None:
    """Answer requests until the app goes away."""
    _limit_memory(memory)
    requests, replies = sys.stdin.buffer, _private_output()
    wire.send(replies, b"ready")
    while (head := wire.receive(requests, MOST_BYTES)) is not None:
        data = wire.receive(requests, MOST_BYTES)
        if data is None:
            return
        values, pixels = _done(json.loads(head), data)
        wire.send(replies, json.dumps(values).encode())
        wire.send(replies, pixels)


def _done(arguments: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    kind = arguments.pop("kind")
    try:
        with _at_most(arguments.pop("cpu")):
            values, pixels = importlib.import_module(KINDS[kind]).work(arguments, data)
    except Unreadable as error:
        return {"problem": str(error)}, b""
    except MemoryError:
        return {"problem": "needs more memory to open than is allowed: make it smaller first."}, b""
    except Exception as error:  # noqa: BLE001
        # Decoders raise anything on broken bytes. This is the edge of the process: the
        # app logs the detail and shows the sentence.
        whole = names.format_of(data) or kind
        problem = (
            f"is damaged or cut off: expected a whole {whole}, found broken data; copy or download it again."
        )
        return {"problem": problem, "detail": f"{type(error).__name__}: {error}"}, b""
    return values, pixels


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """The system ends this process when it has used so many seconds of processor time; 0: any number.

    Nothing here handles the signal, so that it also ends a loop within a decoder's C code.
    """
    if not hasattr(signal, "setitimer"):  # on Windows the app's own clock has to do
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_memory(memory: int) -> None:
    if sys.platform == "linux":  # elsewhere the limit is missing or not kept
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not write pixels to disk


def _private_output() -> BinaryIO:
    """Standard output, out of reach of libraries that print into it."""
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return private


if __name__ == "__main__":
    main(int(sys.argv[1]))
