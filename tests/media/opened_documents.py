"""PDFs that are opened, each in a test's own cache."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.media.pdf_files import one_page, stream
from tests.sizes import REFUSED_PAGE_SECONDS
from vlm_app.errors import BadInput
from vlm_app.media.documents import Document, open_document
from vlm_app.settings import settings

Limits = Callable[..., None]


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Limits]:
    """The default limits, whatever the environment says; call it to set others."""

    def set_to(**values: float) -> None:
        settings.cache_clear()
        for key, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{key.upper()}", str(value))

    set_to(max_pixels=50_000_000, decode_seconds=20)
    yield set_to
    settings.cache_clear()


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], Document]:
    def open_bytes(data: bytes) -> Document:
        (tmp_path / "invoice.pdf").write_bytes(data)
        return open_document(tmp_path / "invoice.pdf")

    return open_bytes


def sentence(
    act: Callable[[], Any], begins: str = "“invoice.pdf” ", seconds: float = REFUSED_PAGE_SECONDS
) -> str:
    """What a person is told: one sentence about the file, soon, that leaks nothing."""
    started = time.monotonic()
    with pytest.raises(BadInput) as caught:
        act()
    assert time.monotonic() - started < seconds
    said = caught.value.sentence
    assert said.startswith(begins), said
    assert said.endswith(".") and "\n" not in said
    assert not re.search(r"0x[0-9a-f]{4}|/tmp|vlm_app|[a-z]Error|pdfium|Traceback", said), said
    return said


def slow_shading() -> bytes:
    program = b"{ " + b"dup mul sqrt sin cos abs " * 4000 + b" dup dup }"
    head = b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1 0 1 0 1]"
    shading = (
        b"/Shading << /S << /ShadingType 1 /ColorSpace /DeviceRGB /Domain [0 1 0 1] "
        b"/Matrix [2000 0 0 2000 0 0] /Function 5 0 R >> >>"
    )
    page = b"/MediaBox [0 0 2000 2000]"
    return one_page(b"/S sh", page, shading, more={5: stream(program, head, packed=False)})
