"""Tables, pictures and text that are exported, and what no format may do to a disk or a reader."""

from __future__ import annotations

import csv
import time
from io import BytesIO, StringIO
from pathlib import PurePosixPath
from zipfile import ZipFile

import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from tests.grounding.exported_results import result, ring_mask
from tests.sizes import EXPORTED_SIDE
from vlm_app.errors import BadInput
from vlm_app.grounding.formats import FORMATS, Result, Source, exported, result_of
from vlm_app.types import Answer, Box, Point, Polygon, Region, Task

RED = Source("red.png", (120, 80), Image.new("RGB", (120, 80), "red"))


def rows(given: Result) -> list[dict[str, str]]:
    text = exported(given, "csv").decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


def text_at(*texts: tuple[str, float, float, float], image: int = 0) -> tuple[Region, ...]:
    """Lines of text by left, top and width, a fiftieth of the page high."""
    return tuple(
        Region(text, Box(left, top, left + width, top + 0.02), image, text=text)
        for text, left, top, width in texts
    )


# --- table --------------------------------------------------------------------------------


def test_a_line_of_the_table_is_a_region_in_pixels() -> None:
    first, second, *_ = rows(result("wide"))
    assert first["name"] == "wide.png" and first["label"] == "cat" and first["score"] == "0.75"
    assert float(first["left"]) == pytest.approx(0.123456 * 1003, abs=0.01)
    assert float(first["bottom"]) == 211 and first["points"] == ""
    assert second["kind"] == "point" and second["points"] == "310.93 162.47"


@pytest.mark.parametrize("words", ['a "b", c', "two\nlines", "a\r\nb;", "ü 犬 🦊"])
def test_quotes_and_line_breaks_survive_the_table(words: str) -> None:
    (row,) = rows(Result((RED,), (Region(words, Box(0, 0, 1, 1), text=words),)))
    assert row["label"] == row["text"] == words


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\0=1", "＝1"]
)
def test_a_formula_is_text_in_the_table(cell: str) -> None:
    (row,) = rows(Result((Source(cell, (9, 9)),), (Region(cell, Box(0, 0, 1, 1), text=cell),)))
    assert row["label"][0] == row["text"][0] == row["name"][0] == "'"


# --- pictures -----------------------------------------------------------------------------


def names_in(data: bytes) -> list[str]:
    with ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_a_crop_is_what_the_region_holds() -> None:
    image = Image.new("RGB", (120, 80), "white")
    image.paste("blue", (30, 20, 60, 60))
    given = Result((Source("a.png", image.size, image),), (Region("sea", Box(0.25, 0.25, 0.5, 0.75)),))
    with ZipFile(BytesIO(exported(given, "crops"))) as archive:
        assert archive.namelist() == ["001_sea.png"]
        with Image.open(archive.open("001_sea.png")) as crop:
            assert crop.size == (30, 40) and crop.getcolors() == [(1200, (0, 0, 255))]


def test_crops_of_several_images_have_a_folder_each() -> None:
    names = names_in(exported(result("square", "tall"), "crops"))
    assert names[0] == "square/001_cat.png" and names[-1] == "tall/012_title.png"


@pytest.mark.parametrize("shape", [Point(0, 0), Point(1, 1), Box(1, 1, 1, 1), Box(0.5, 0.5, 0.5, 0.5)])
def test_a_crop_has_at_least_a_pixel(shape: Point | Box) -> None:
    assert names_in(exported(Result((RED,), (Region("dot", shape),)), "crops")) == ["001_dot.png"]


@settings(max_examples=60, deadline=None)
@each(st.lists(st.text(max_size=300), min_size=2, max_size=2), st.text(max_size=300))
def test_no_label_or_name_leads_out_of_the_folder(images: list[str], label: str) -> None:
    sources = tuple(Source(name, (4, 4), Image.new("RGB", (4, 4))) for name in images)
    regions = tuple(Region(label, Box(0, 0, 1, 1), image) for image in (0, 1))
    for format in ("crops", "yolo"):
        for name in names_in(exported(Result(sources, regions), format)):
            path = PurePosixPath(name)
            assert not path.is_absolute() and ".." not in path.parts and len(path.parts) <= 2
            assert all(len(part.encode()) < 255 for part in path.parts)
            assert not set(name) & set('\\:*?"<>|\0\n')


@pytest.mark.parametrize(
    "label", ["../../etc/passwd", "..\\..\\x", "/root", "C:\\x", "a/b", ".", "~", "\0", "con"]
)
def test_hostile_labels_are_plain_names(label: str) -> None:
    (name,) = names_in(exported(Result((RED,), (Region(label, Box(0, 0, 1, 1)),)), "crops"))
    assert name.startswith("001_") and "/" not in name and "\\" not in name and ".." not in name


def test_regions_on_several_images_are_drawn_below_each_other() -> None:
    with Image.open(BytesIO(exported(result("square", "tall"), "png"))) as drawn:
        assert drawn.size == (200, 840)


def test_without_regions_the_last_image_is_drawn() -> None:
    with Image.open(BytesIO(exported(Result((*result("wide").images, RED)), "png"))) as drawn:
        assert drawn.size == RED.size


@pytest.mark.parametrize("format", ["png", "pdf"])
def test_a_picture_of_nothing_is_refused(format: str) -> None:
    with pytest.raises(BadInput, match="give one before the question"):
        exported(Result(), format)


# --- text ---------------------------------------------------------------------------------


def test_text_is_read_down_and_then_to_the_right() -> None:
    given = Result(
        (RED,), text_at(("price", 0.8, 0.101, 0.1), ("end", 0.1, 0.2, 0.3), ("tea", 0.1, 0.1, 0.2))
    )
    assert exported(given, "txt").decode() == "tea\nprice\nend\n"


def test_columns_are_read_one_after_the_other() -> None:
    column = [
        (f"{side}{n}", left, 0.2 + n * 0.03, 0.4)
        for n in range(4)
        for side, left in (("l", 0.05), ("r", 0.55))
    ]
    given = Result((RED,), text_at(("title", 0.05, 0.1, 0.9), *column, ("foot", 0.05, 0.9, 0.9)))
    assert exported(given, "txt").decode().split() == ["title", *"l0 l1 l2 l3 r0 r1 r2 r3".split(), "foot"]


def test_a_receipts_prices_stay_beside_their_articles() -> None:
    lines = [
        (f"{word}{n}", left, 0.2 + n * 0.03, width)
        for n in range(5)
        for word, left, width in (("a", 0.1, 0.4), ("p", 0.8, 0.1))
    ]
    assert exported(Result((RED,), text_at(*lines)), "txt").decode().split() == [
        f"{word}{n}" for n in range(5) for word in "ap"
    ]


def test_without_places_the_answer_is_the_text() -> None:
    given = Result((RED,), (Region("cat", Box(0, 0, 1, 1)),), text="# A *cat*.")
    assert exported(given, "txt") == exported(given, "md") == b"# A *cat*.\n"


def test_markdown_shows_what_stands_in_the_image_and_runs_none_of_it() -> None:
    title = Region("section_header_level_1", Box(0, 0, 1, 0.1), text="Tea\nR&amp;D 12.50")
    item = Region("list_item", Box(0, 0.2, 1, 0.3), text="1. <b>*x*</b> [a](b)")
    given = Result((RED,), (item, title, *text_at(("# no", 0, 0.8, 0.5))))
    assert exported(given, "md").decode() == (
        "## Tea R\\&amp;D 12.50\n\n- 1\\. \\<b\\>\\*x\\*\\</b\\> \\[a\\](b)\n\n\\# no\n"
    )


def test_texts_of_several_images_are_told_apart() -> None:
    images = (RED, Source("b.png", (9, 9)))
    given = Result(images, (*text_at(("two", 0, 0, 1), image=1), *text_at(("one", 0, 0, 1))))
    assert exported(given, "txt").decode() == "one\n\ntwo\n"
    assert exported(given, "md").decode() == "## red.png\n\none\n\n## b.png\n\ntwo\n"


# --- all ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"png", "pdf"}))
def test_nothing_found_is_a_file_of_every_format(format: str) -> None:
    assert exported(Result(), format) or format in ("txt", "md")
    assert exported(Result((RED,)), format)


@settings(max_examples=60, deadline=None)
@each(st.text(max_size=20), st.none() | st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_model_writes_can_be_exported(label: str, text: str | None, name: str) -> None:
    region = Region(label, Box(0, 0, 1, 1), text=text)
    sources = (Source(name, (9, 9), Image.new("RGB", (9, 9))),)
    for format in set(FORMATS) - {"png"}:
        assert exported(Result(sources, (region,), label, label), format)


@pytest.mark.parametrize("label", ["\ud800", "\x1b[31m", "\ufffe"])
def test_letters_that_no_file_holds_are_replaced(label: str) -> None:
    for format in FORMATS:
        assert exported(Result((RED,), (Region(label, Box(0, 0, 1, 1), text=label),)), format)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_500_regions_take_a_moment(format: str) -> None:
    side = EXPORTED_SIDE
    image = Source("a.png", (side, side), Image.new("RGB", (side, side)))
    shapes = [
        Box(n / 600, 0.1, n / 600 + 0.1, 0.2)
        if n % 3
        else Polygon((Point(0, 0), Point(n / 500, 1), Point(1, 0)))
        for n in range(490)
    ]
    regions = [
        Region(f"thing {n % 7}", shape) for n, shape in enumerate([*shapes, *[ring_mask((400, 400))] * 10])
    ]
    begun = time.process_time()
    assert exported(Result((image,), tuple(regions)), format)
    # Pictures are the pixels of 163 crops of the whole image, and of a drawing.
    assert time.process_time() - begun < (60 if FORMATS[format].pictured else 3)


def test_an_answer_is_exported_with_the_names_of_its_images() -> None:
    answer = Answer("Here.", (Region("cat", Box(0, 0, 1, 1), image=1),), task=Task.DETECT, model="pebble")
    images = [Image.new("RGB", (4, 3))] * 3
    given = result_of(answer, images, ["x/a.png", "y\\A.png", ".."], "cat")
    assert [source.name for source in given.images] == ["a.png", "A-2.png", "image"]
    assert (given.model, given.task, given.query, given.text) == ("pebble", "detect", "cat", "Here.")


def test_a_region_without_an_image_is_left_out() -> None:
    assert result_of(Answer("Here.", (Region("cat", Box(0, 0, 1, 1)),)), [], []).regions == ()
