"""Messages between the app and its decode worker: a length, then that many bytes."""

from __future__ import annotations

import struct
from typing import BinaryIO

_LENGTH = struct.Struct(">Q")


def send(stream: BinaryIO, message: bytes) -> None:
    """Write one message and flush it."""
    stream.write(_LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def receive(stream: BinaryIO, limit: int) -> bytes | None:
    """The next message, or None where the other side has gone away.

    A length above `limit` counts as gone: nobody who keeps the rules sends it.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack(head)[0]
    if length > limit:
        return None
    message = stream.read(length)
    return message if len(message) == length else None
