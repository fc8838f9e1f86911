"""The decode worker: `python -m vlm_app.media.worker BYTES`, one image after another.

Requests come on standard input as two messages: JSON (`max_pixels`) and the file.
Replies go to standard output: JSON, and the RGB pixels where the JSON holds `size`.
It ends when its standard input does. BYTES caps its memory, so that a bomb dies here.
"""

from __future__ import annotations

import json
import os
import sys
from typing import BinaryIO

from PIL import Image, WebPImagePlugin  # noqa: F401  (WebP is used by every second upload: load it now)

from vlm_app.media import names, wire
from vlm_app.media.decode import Unreadable, decode

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
        _answer(replies, data, int(json.loads(head)["max_pixels"]))


def _answer(replies: BinaryIO, data: bytes, max_pixels: int) -> None:
    try:
        image, note = decode(data, max_pixels)
        pixels = image.tobytes()
        reply = {"size": image.size, "note": note}
    except Unreadable as error:
        pixels, reply = b"", {"problem": str(error)}
    except MemoryError:
        pixels, reply = b"", {"problem": "needs more memory to open than is allowed: make it smaller first."}
    except Exception as error:  # noqa: BLE001
        # Decoders raise anything on broken bytes. This is the edge of the process: the
        # app logs the detail and shows the sentence.
        kind = names.format_of(data) or "image"
        problem = (
            f"is damaged or cut off: expected a whole {kind}, found broken data; copy or download it again."
        )
        pixels, reply = b"", {"problem": problem, "detail": f"{type(error).__name__}: {error}"}
    wire.send(replies, json.dumps(reply).encode())
    if "size" in reply:
        wire.send(replies, pixels)


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
