"""Files that come to the workbench: regions, and what is left of uploads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.chat.fake_engine import FakeEngine
from tests.workbench.conftest import find
from vlm_app.errors import BadInput
from vlm_app.grounding.formats import exported, result_of
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import Answer, Box, Region
from vlm_app.ui.workbench.opening import from_file, let_go
from vlm_app.workbench import editing
from vlm_app.workbench.bench import Bench

OWNER = "ada"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(tmp_path / "data")
    yield Bench(store, FakeEngine(), find)
    store.close()


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    """A COCO file of three boxes on 'cat.png'."""
    boxes = tuple(Region("cat", Box(0.1 * n, 0.1, 0.1 * n + 0.1, 0.5)) for n in range(1, 4))
    path = tmp_path / "regions.json"
    path.write_bytes(
        exported(result_of(Answer("cat", boxes), [Image.new("RGB", (80, 60))], ["cat.png"], ""), "coco")
    )
    return path


def opened(bench: Bench, folder: Path, name: str) -> str:
    path = folder / name
    Image.new("RGB", (80, 60)).save(path)
    return bench.open(OWNER, [(path, name)]).id


def test_they_lie_on_the_page_of_their_name(bench: Bench, regions: Path, tmp_path: Path) -> None:
    sheet = opened(bench, tmp_path, "cat.png")
    finding = from_file(bench, OWNER, sheet, regions)
    assert [mark.region.label for mark in finding.marks] == ["cat"] * 3
    assert bench.findings(OWNER, sheet) == (finding,)


def test_a_file_that_does_not_fit_leaves_no_empty_finding(
    bench: Bench, regions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = opened(bench, tmp_path, "cat.png")
    monkeypatch.setattr(editing, "MOST_MARKS", 2)
    with pytest.raises(BadInput, match="at most 2 regions, found 3"):
        from_file(bench, OWNER, sheet, regions)
    regions.write_text(json.dumps({"annotations": [], "categories": []}))
    with pytest.raises(BadInput):
        from_file(bench, OWNER, sheet, regions)
    assert bench.findings(OWNER, sheet) == ()


def test_a_large_upload_goes_at_once_and_a_small_one_stays_for_who_else_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_APP_MAX_BYTES", "100")
    settings.cache_clear()
    film, photo = tmp_path / "film.mp4", tmp_path / "cat.png"
    film.write_bytes(bytes(101))
    photo.write_bytes(bytes(100))
    for path in (film, photo, tmp_path / "gone.png"):
        let_go(path)
    assert (film.exists(), photo.exists()) == (False, True)
    settings.cache_clear()
