"""A bench of the test's own: an engine without a model, and files as people open them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.chat.fake_engine import FakeEngine
from tests.chat.given import engine, finder
from tests.media.pdf_files import many_pages
from tests.media.video_files import make_video
from vlm_app.store import Store
from vlm_app.types import Task
from vlm_app.workbench.bench import Bench

__all__ = ["engine", "find"]
ROWS = {
    "able": ("pebble", None, frozenset(Task)),
    "two-images": ("pebble", 2, frozenset(Task)),
    "captions": ("blip2", 1, frozenset({Task.CAPTION})),
    "talker": ("smolvlm", None, frozenset({Task.CHAT})),
}
find = finder(ROWS)
Files = list[tuple[Path, str]]


@pytest.fixture
def bench(store: Store, engine: FakeEngine) -> Bench:
    return Bench(store, engine, find)


@pytest.fixture
def images(tmp_path: Path) -> Callable[..., Files]:
    """Files of one colour each, called after it."""

    def make(*colours: str, size: tuple[int, int] = (80, 60)) -> Files:
        files = []
        for colour in colours:
            path = tmp_path / f"{colour}.png"
            Image.new("RGB", size, colour).save(path)
            files.append((path, path.name))
        return files

    return make


@pytest.fixture
def document(tmp_path: Path) -> Callable[..., Files]:
    """A PDF with a line of text on each page."""

    def make(pages: int = 3) -> Files:
        path = tmp_path / "report.pdf"
        lines = [b"BT /F1 24 Tf 20 100 Td (Page number %d) Tj ET" % number for number in range(1, pages + 1)]
        path.write_bytes(many_pages(lines))
        return [(path, "report.pdf")]

    return make


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A video of ten seconds, whose frames say their number."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_video(path, frames=100, rate=10)
    return [(path, "film.mp4")]
