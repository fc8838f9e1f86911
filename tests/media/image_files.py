"""Images as files, good, odd and hostile."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.sizes import REFUSED_SECONDS
from vlm_app.errors import BadInput
from vlm_app.media import open_image
from vlm_app.settings import settings


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """The default limits, whatever the environment says; call it to set others."""

    def limits(**values: float) -> None:
        settings.cache_clear()
        for key, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{key.upper()}", str(value))

    limits(max_bytes=20_000_000, max_pixels=50_000_000, decode_seconds=20)
    yield limits
    settings.cache_clear()


def scene() -> Image.Image:
    """A 60 x 40 picture whose four corners differ: red, green / blue, black."""
    image = Image.new("RGB", (60, 40), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 19, 9), fill=(255, 0, 0))
    draw.rectangle((40, 0, 59, 9), fill=(0, 255, 0))
    draw.rectangle((0, 30, 19, 39), fill=(0, 0, 255))
    draw.rectangle((40, 30, 59, 39), fill=(0, 0, 0))
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG file written by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def progressive(side: int, scans: int) -> bytes:
    """A progressive JPEG whose first scan is repeated: small on disk, slow to decode."""
    data = encoded(Image.new("RGB", (side, side), (90, 120, 40)), "JPEG", progressive=True)
    start = data.index(b"\xff\xc4")  # tables and scan follow each other
    first = data.index(b"\xff\xda", start)
    end = re.compile(rb"\xff[\xc4\xda\xd9]").search(data, first + 2)
    assert end is not None
    return data[:start] + data[start : end.start()] * scans + data[end.start() :]


def refusal(data: bytes | Path, name: str = "holiday.png") -> str:
    """The sentence for a file that is refused: one sentence that leaks nothing, soon."""
    started = time.monotonic()
    with pytest.raises(BadInput) as caught:
        open_image(data, name=name)
    assert time.monotonic() - started < REFUSED_SECONDS
    sentence = caught.value.sentence
    assert sentence.endswith(".") and "\n" not in sentence
    assert not re.search(r"0x[0-9a-f]{4}|/tmp|vlm_app|Error|PIL|Traceback|BytesIO", sentence), sentence
    return sentence
