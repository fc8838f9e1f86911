"""Files that come to the workbench: regions, and what is left of uploads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.chat.fake_engine import FakeEngine
from tests.media.pdf_files import many_pages
from tests.media.video_files import make_video
from tests.workbench.asking import DETECT, found
from tests.workbench.conftest import find
from vlm_app.errors import BadInput
from vlm_app.grounding.formats import FORMATS, exported, result_of
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


def drawn(folder: Path, name: str, width: int = 80) -> Path:
    """An image file of that name; those of one width in a folder of their own."""
    path = folder / str(width) / name
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (width, 60)).save(path)
    return path


def opened(bench: Bench, folder: Path, name: str) -> str:
    path = folder / name
    Image.new("RGB", (80, 60)).save(path)
    return bench.open(OWNER, [(path, name)]).id


def test_they_lie_on_the_page_of_their_name(bench: Bench, regions: Path, tmp_path: Path) -> None:
    sheet = opened(bench, tmp_path, "cat.png")
    finding, _ = from_file(bench, OWNER, sheet, regions)
    assert [mark.region.label for mark in finding.marks] == ["cat"] * 3
    assert bench.findings(OWNER, sheet) == (finding,)


@pytest.mark.parametrize("kind", ["json", "coco", "label-studio"])
def test_they_come_back_to_the_pages_that_they_were_exported_from(
    bench: Bench, tmp_path: Path, kind: str
) -> None:
    pdf, film = tmp_path / "report.pdf", tmp_path / "film.mp4"
    pdf.write_bytes(many_pages([b"BT /F1 24 Tf 20 100 Td (%d) Tj ET" % number for number in range(5)]))
    make_video(film, frames=50, rate=10)
    endings = [(drawn(tmp_path, name), name) for name in ("cat.png", "cat.jpg")]
    same = [(drawn(tmp_path, "i.jpg", width), "i.jpg") for width in (80, 90)]
    for sheet, places in (
        (bench.open(OWNER, [(pdf, "report.pdf")]), (2, 4)),
        (bench.sample(OWNER, bench.open(OWNER, [(film, "film.mp4")]).id, count=3), (2,)),
        (bench.open(OWNER, endings), (0,)),
        (bench.open(OWNER, same), (0, 1)),
    ):
        keys = tuple(sheet.pages[place].key for place in places)
        before = found(bench.ask(OWNER, sheet.id, keys, DETECT))
        path = tmp_path / f"regions{FORMATS[kind].suffix}"
        path.write_bytes(exported(bench.result(OWNER, before.id), kind))
        after, left_out = from_file(bench, OWNER, sheet.id, path)
        assert (after.pages, left_out) == (keys, []), sheet.name
        assert [each.image for each in after.regions] == [each.image for each in before.regions]


def test_what_is_about_pictures_that_are_not_open_is_left_out_and_told(
    bench: Bench, regions: Path, tmp_path: Path
) -> None:
    images = [Image.new("RGB", (80, 60))] * 2
    both = Answer("", (Region("cat", Box(0, 0, 0.5, 0.5)), Region("dog", Box(0, 0, 0.5, 0.5), image=1)))
    regions.write_bytes(exported(result_of(both, images, ["cat.png", "dog.png"], ""), "coco"))
    two = bench.open(OWNER, [(drawn(tmp_path, name), name) for name in ("cow.png", "dog.png")])
    finding, left_out = from_file(bench, OWNER, two.id, regions)
    assert (finding.pages, [each.label for each in finding.regions]) == ((two.pages[1].key,), ["dog"])
    assert left_out == ["cat.png"]
    one = bench.open(OWNER, [(drawn(tmp_path, "hen.png"), "hen.png")])
    with pytest.raises(BadInput, match="open its pictures first"):  # not on its page, for want of a name
        from_file(bench, OWNER, one.id, regions)


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
