"""What a user meets who opens images, a document or a video on the workbench."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.media.video_files import number_of
from tests.workbench.conftest import Files
from vlm_app.errors import BadInput, NotFound
from vlm_app.media import picture_from
from vlm_app.store import Store, StoreUnavailable
from vlm_app.types import Answer, Box, Region, Task
from vlm_app.workbench import opening
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.cache import Cache
from vlm_app.workbench.sheet import Kind, Question, Sheet

OWNER = "ada"
Make = Callable[..., Files]


def files_of(store: Store, *folders: str) -> list[Path]:
    """Every file of these folders of the data folder."""
    return sorted(p for folder in folders for p in (store.data / folder).rglob("*") if p.is_file())


def keys(sheet: Sheet) -> list[str]:
    return [page.key for page in sheet.pages]


# --- images -------------------------------------------------------------------------------


def test_images_are_opened_together_in_their_order(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red", "green", "blue"))
    assert (sheet.kind, sheet.name) == (Kind.IMAGES, "red.png and 2 more")
    assert [(page.key, page.title, page.size) for page in sheet.pages] == [
        ("i0", "red.png", (80, 60)),
        ("i1", "green.png", (80, 60)),
        ("i2", "blue.png", (80, 60)),
    ]
    assert bench.picture(OWNER, sheet.id, "i2").pixels.getpixel((3, 3)) == (0, 0, 255)
    assert bench.sheet(OWNER, sheet.id) == sheet


def test_a_turned_photo_is_opened_upright_and_leaves_its_metadata_behind(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "my home"
    Image.new("RGB", (40, 20), "red").save(path, exif=exif)
    sheet = bench.open(OWNER, [(path, "photo.jpg")])
    assert sheet.pages[0].size == (20, 40)
    for data in (bench.shown(OWNER, sheet.id, "i0"), bench.thumbnail(OWNER, sheet.id, "i0", 160)):
        shown = Image.open(io.BytesIO(data))
        assert shown.size == (20, 40)
        assert not shown.getexif()
        assert b"my home" not in data


def test_the_same_image_twice_is_two_pages_of_one_file(bench: Bench, store: Store, images: Make) -> None:
    (red,) = images("red")
    sheet = bench.open(OWNER, [red, red])
    assert keys(sheet) == ["i0", "i1"]
    assert len(files_of(store, "files")) == 1


def test_a_broken_image_is_named_and_nothing_is_kept(
    bench: Bench, store: Store, images: Make, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(images("red")[0][0].read_bytes()[:100])
    with pytest.raises(BadInput, match=r"“broken.png” is (damaged|cut off)"):
        bench.open(OWNER, [*images("green"), (broken, "broken.png")])
    assert files_of(store, "files", "images") == []
    assert bench.recent(OWNER) == ()


def test_too_many_images_are_refused_before_any_is_opened(
    bench: Bench, images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_IMAGES", 2)
    with pytest.raises(BadInput, match=r"at most 2 images, found 3"):
        bench.open(OWNER, images("red", "green", "blue"))


def test_nothing_to_open_is_said(bench: Bench) -> None:
    with pytest.raises(BadInput, match="nothing to open"):
        bench.open(OWNER, [])


def test_the_first_of_several_frames_is_noted(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "wave.gif"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert bench.open(OWNER, [(path, "wave.gif")]).note == "“wave.gif”: first of 3 frames"


# --- documents ----------------------------------------------------------------------------


def test_a_document_has_its_pages_by_number_with_their_text(bench: Bench, document: Make) -> None:
    sheet = bench.open(OWNER, document(3))
    assert (sheet.kind, sheet.name, keys(sheet)) == (Kind.DOCUMENT, "report.pdf", ["p1", "p2", "p3"])
    assert [page.title for page in sheet.pages] == ["Page 1", "Page 2", "Page 3"]
    picture = bench.picture(OWNER, sheet.id, "p2")
    assert picture.size == sheet.pages[1].size == (600, 400)  # 300 × 200 points at 144 dpi
    (line,) = bench.born_digital(OWNER, sheet.id, "p2")
    assert (line.text, line.image) == ("Page number 2", 0)


def test_no_page_is_rendered_before_it_is_looked_at(bench: Bench, store: Store, document: Make) -> None:
    sheet = bench.open(OWNER, document(200))
    assert len(sheet.pages) == 200
    assert files_of(store, "cache", "images") == []
    bench.thumbnail(OWNER, sheet.id, "p150", 160)
    assert len(files_of(store, "cache")) == 1


def test_a_broken_document_gets_a_sentence_and_is_not_kept(
    bench: Bench, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.7\n and then nothing")
    with pytest.raises(BadInput, match=r"“broken\.pdf”"):
        bench.open(OWNER, [(path, "broken.pdf")])
    assert files_of(store, "files") == []


def test_a_document_is_opened_alone(bench: Bench, images: Make, document: Make) -> None:
    with pytest.raises(BadInput, match=r"“report.pdf” is a document; open it by itself"):
        bench.open(OWNER, [*images("red"), *document()])


def test_images_have_no_text_of_their_own(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red"))
    assert bench.born_digital(OWNER, sheet.id, "i0") == ()


# --- videos -------------------------------------------------------------------------------


def test_a_video_is_sampled_by_count(bench: Bench, film: Files) -> None:
    sheet = bench.open(OWNER, film)
    assert (sheet.kind, sheet.pages, sheet.seconds) == (Kind.VIDEO, (), 10.0)
    sheet = bench.sample(OWNER, sheet.id, count=5)
    assert [page.seconds for page in sheet.pages] == [1.0, 3.0, 5.0, 7.0, 9.0]
    assert [page.title for page in sheet.pages] == ["0:01", "0:03", "0:05", "0:07", "0:09"]
    assert number_of(bench.picture(OWNER, sheet.id, sheet.pages[3].key)) == 70


def test_a_video_is_sampled_by_rate_and_again(bench: Bench, film: Files) -> None:
    sheet = bench.open(OWNER, film)
    sheet = bench.sample(OWNER, sheet.id, every=2.5)
    assert [page.seconds for page in sheet.pages] == [0.0, 2.5, 5.0, 7.5]
    assert len(bench.sample(OWNER, sheet.id).pages) == 12


def test_a_frame_is_taken_at_a_time_and_takes_its_place(bench: Bench, film: Files) -> None:
    sheet = bench.sample(OWNER, bench.open(OWNER, film).id, count=2)
    sheet, page = bench.frame(OWNER, sheet.id, 4.27)
    assert page.seconds == 4.2
    assert [each.seconds for each in sheet.pages] == [2.5, 4.2, 7.5]
    again, _ = bench.frame(OWNER, sheet.id, 4.25)
    assert len(again.pages) == 3
    assert number_of(bench.picture(OWNER, sheet.id, page.key)) == 42


@pytest.mark.parametrize("seconds", [-1.0, 12.0, float("nan")])
def test_a_time_outside_the_video_is_refused(bench: Bench, film: Files, seconds: float) -> None:
    sheet = bench.open(OWNER, film)
    with pytest.raises(BadInput, match=r"lasts 10\.0 s, found"):
        bench.frame(OWNER, sheet.id, seconds)


@pytest.mark.parametrize("asked", [{"count": 0}, {"count": 5000}, {"every": 0.0}, {"every": -1.0}])
def test_a_sampling_that_cannot_be_gets_a_sentence(
    bench: Bench, film: Files, asked: dict[str, float]
) -> None:
    sheet = bench.open(OWNER, film)
    with pytest.raises(BadInput):
        bench.sample(OWNER, sheet.id, **asked)


def test_frames_are_not_taken_of_images(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red"))
    with pytest.raises(BadInput, match="open a video first"):
        bench.sample(OWNER, sheet.id)


def test_a_file_that_is_called_a_video_and_is_none_gets_a_sentence_about_videos(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no video at all")
    with pytest.raises(BadInput, match=r"“film\.mp4”"):
        bench.open(OWNER, [(path, "film.mp4")])


# --- sheets -------------------------------------------------------------------------------


def test_another_owners_sheet_does_not_exist(bench: Bench, images: Make) -> None:
    sheet = bench.open(OWNER, images("red"))
    for use in (bench.sheet, bench.delete, bench.findings, bench.file):
        with pytest.raises(NotFound):
            use("bob", sheet.id)
    for read in (bench.picture, bench.shown, bench.born_digital):
        with pytest.raises(NotFound):
            read("bob", sheet.id, "i0")
    with pytest.raises(NotFound):
        bench.thumbnail("bob", sheet.id, "i0", 160)
    assert bench.recent("bob") == ()


def test_recent_sheets_begin_with_the_last_used(bench: Bench, images: Make) -> None:
    first, second = bench.open(OWNER, images("red")), bench.open(OWNER, images("green"))
    assert [sheet.id for sheet in bench.recent(OWNER)] == [second.id, first.id]
    list(bench.ask(OWNER, first.id, ["i0"], Question(Task.CAPTION, model="able")))
    assert [sheet.id for sheet in bench.recent(OWNER)] == [first.id, second.id]
    assert len(bench.recent(OWNER, most=1)) == 1


def test_deleting_a_sheet_leaves_what_others_hold_and_nothing_else(
    bench: Bench, store: Store, images: Make
) -> None:
    mine, his = bench.open(OWNER, images("red", "green")), bench.open("bob", images("red"))
    *_, step = bench.ask(OWNER, mine.id, ["i0", "i1"], Question(Task.CAPTION, model="able"))
    assert step.finding is not None
    assert len(files_of(store, "files")) == len(files_of(store, "images")) == 2
    bench.delete(OWNER, mine.id)
    assert len(files_of(store, "files")) == 1
    assert files_of(store, "images") == []
    assert bench.picture("bob", his.id, "i0").pixels.getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(NotFound):
        bench.finding(OWNER, step.finding.id)


def test_pages_are_there_again_when_the_cache_has_vanished(
    bench: Bench, store: Store, film: Files, document: Make, images: Make
) -> None:
    import shutil

    video = bench.sample(OWNER, bench.open(OWNER, film).id, count=2)
    sheets = [video, bench.open(OWNER, document(1)), bench.open(OWNER, images("red"))]
    before = [bench.shown(OWNER, sheet.id, sheet.pages[0].key) for sheet in sheets]
    shutil.rmtree(store.data / "cache")
    assert [bench.shown(OWNER, sheet.id, sheet.pages[0].key) for sheet in sheets] == before
    assert [len(bench.thumbnail(OWNER, sheet.id, sheet.pages[0].key, 64)) > 0 for sheet in sheets]


def test_a_thumbnail_is_as_small_as_asked(bench: Bench, images: Make, document: Make) -> None:
    photo = bench.open(OWNER, images("red", size=(1000, 500)))
    page = bench.open(OWNER, document(1))
    for sheet, key in ((photo, "i0"), (page, "p1")):
        for side in (64, 160, 500):
            small = Image.open(io.BytesIO(bench.thumbnail(OWNER, sheet.id, key, side)))
            assert max(small.size) == side


def test_the_cache_lets_go_of_what_was_used_longest_ago(tmp_path: Path) -> None:
    import os

    cache = Cache(tmp_path, most_bytes=3000)
    for place, key in enumerate("abc"):
        cache.put(key, key.encode() * 1000)
        os.utime(cache.path(key), ns=(place, place))
    assert cache.get("a") == b"a" * 1000  # used just now
    cache.put("d", b"d" * 1000)
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("d") is not None
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 3000


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = Cache(tmp_path / "cache")
    cache.put("a", b"data")
    assert cache.get("a") is None


# --- answers of a chat ----------------------------------------------------------------------


def test_an_answer_of_a_chat_is_opened_with_its_pictures_and_regions(bench: Bench) -> None:
    pictures = [
        (picture_from(Image.new("RGB", (20, 10), colour)), f"{colour}.png") for colour in ("red", "blue")
    ]
    regions = (Region("dog", Box(0, 0, 0.5, 0.5), 1, span=(2, 5)), Region("cat", Box(0, 0, 1, 1), 7))
    answer = Answer("a dog", regions, model="able", task=Task.DETECT)
    finding = bench.take(OWNER, pictures, answer, Question(Task.DETECT, "dog", "able"))
    sheet = bench.sheet(OWNER, finding.sheet)
    assert [page.title for page in sheet.pages] == ["red.png", "blue.png"]
    assert bench.picture(OWNER, sheet.id, "i1") == pictures[1][0]
    (mark,) = finding.marks  # the other one lies on an image that is not there
    assert (mark.region, mark.maker, mark.edited) == (regions[0], "able", False)
    assert bench.findings(OWNER, sheet.id) == (finding,)


def test_a_name_that_cannot_be_written_is_kept_as_far_as_it_can(bench: Bench, images: Make) -> None:
    ((path, _),) = images("red")
    sheet = bench.open(OWNER, [(path, "C:\\photos\\a\ud800\nb\u202e.png")])
    assert "photos" not in sheet.name and "\n" not in sheet.name
    assert bench.sheet(OWNER, sheet.id) == sheet
    long = bench.open(OWNER, [(path, "x" * 1000 + ".png")])
    assert len(long.pages[0].title) <= 200 and long.pages[0].title.endswith(".png")


def test_a_full_disk_gets_a_sentence_and_leaves_nothing_behind(
    bench: Bench, store: Store, images: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = images("red", "green")
    monkeypatch.setattr("vlm_app.workbench.sheets.Sheets._add_row", _full)
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        bench.open(OWNER, files)
    assert files_of(store, "files", "images") == []


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_a_lost_power_left_half_in_the_cache_is_made_again(
    bench: Bench, store: Store, film: Files
) -> None:
    sheet = bench.sample(OWNER, bench.open(OWNER, film).id, count=1)
    key = sheet.pages[0].key
    before = bench.picture(OWNER, sheet.id, key)
    bench.shown(OWNER, sheet.id, key)
    for path in files_of(store, "cache"):
        path.write_bytes(path.read_bytes()[:50])
    assert bench.picture(OWNER, sheet.id, key) == before
    assert bench.thumbnail(OWNER, sheet.id, key, 40)
    for path in files_of(store, "cache"):
        path.write_bytes(b"")
    assert Image.open(io.BytesIO(bench.shown(OWNER, sheet.id, key))).size == before.size
