"""What is read of a picture, however it lies, and where on the picture it stands."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.ocr_pages import FONTS
from tests.ocr.printed import LINES, printed
from vlm_app.grounding.shapes import bounds
from vlm_app.ocr import reader as reading
from vlm_app.ocr.layout import laid_out
from vlm_app.ocr.reader import Line, Reader, bands

TEXT = "\n".join(LINES)


def text_of(reader: Reader, image: Image.Image) -> str:
    return laid_out(reader.read(image))[0].replace("\n\n", "\n")


def ink(image: Image.Image, line: Line) -> float:
    """The share of a picture's dark pixels that lies in the box around a line."""
    box = bounds(line.quad)
    dark = np.asarray(image.convert("L")) < 128
    high, wide = dark.shape
    inside = dark[int(box.y0 * high) : int(box.y1 * high) + 1, int(box.x0 * wide) : int(box.x1 * wide) + 1]
    return float(inside.sum() / dark.sum())


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_is_read_from_its_top_and_marked_where_it_stands(reader: Reader, turn: int) -> None:
    image = printed().rotate(turn, expand=True)
    read = reader.read(image)
    assert laid_out(read)[0].replace("\n\n", "\n") == TEXT
    assert [each for each in read.done if "turned" in each] == ([f"turned by {turn}°"] if turn else [])
    assert sum(ink(image, line) for line in read.lines) > 0.95  # nearly all that is printed lies in a line
    first = next(line for line in read.lines if line.text == LINES[0])
    x, y = first.quad.points[0].x, first.quad.points[0].y  # where the first letter has its head
    corner = {0: (0, 0), 90: (0, 1), 180: (1, 1), 270: (1, 0)}[turn]
    assert abs(x - corner[0]) < 0.3 and abs(y - corner[1]) < 0.3


def test_a_line_that_the_classifier_takes_for_turned_is_read_both_ways_first(reader: Reader) -> None:
    line = "- It is in maintenance: its makers send users to vLLM, SGLang and llama.cpp."
    image = printed((line,), wide=1006, high=103)
    assert text_of(reader, image) == line
    assert reader.read(image).done == ()


@pytest.mark.parametrize("angle", [-11, 4])
def test_a_page_that_lies_askew_is_straightened(reader: Reader, angle: int) -> None:
    image = printed().rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    read = reader.read(image)
    assert laid_out(read)[0].replace("\n\n", "\n") == TEXT
    (done,) = read.done
    assert abs(float(done.removeprefix("straightened by ").removesuffix("°")) - abs(angle)) < 1
    assert all(ink(image, line) > 0.1 for line in read.lines)


def test_a_page_on_a_dark_table_is_flattened_and_its_text_marked_on_the_photo(reader: Reader) -> None:
    page, size = printed(size=30, wide=560, high=760), (800, 1000)
    photo = Image.new("RGB", size, (70, 50, 40))
    corners = [(140, 110), (700, 60), (740, 930), (80, 900)]
    from benchmarks.ocr_pages import _perspective

    flat = [(0.0, 0.0), (page.width, 0.0), (float(page.width), float(page.height)), (0.0, float(page.height))]
    found = _perspective([(float(x), float(y)) for x, y in corners], flat)
    mask = Image.new("L", page.size, 255).transform(size, Image.Transform.PERSPECTIVE, found)
    seen = page.transform(size, Image.Transform.PERSPECTIVE, found, Image.Resampling.BICUBIC)
    photo.paste(seen, mask=mask)
    read = reader.read(photo)
    assert laid_out(read)[0].replace("\n\n", "\n") == TEXT and "flattened" in read.done
    box = bounds(next(line for line in read.lines if line.text == LINES[0]).quad)
    assert 0.15 < box.x0 < 0.3 and 0.08 < box.y0 < 0.2 and box.x1 > 0.5


def test_a_framed_page_is_not_taken_for_a_photo(reader: Reader) -> None:
    framed = ImageOps.expand(ImageOps.expand(printed(), 4, "black"), 60, "white")
    assert reader.read(framed).done == ()


@pytest.mark.parametrize("shade", ["faded", "white on black"])
def test_pale_and_inverted_print_is_read(reader: Reader, shade: str) -> None:
    image = printed()
    pale = image.point(lambda level: 205 + level * 28 // 255)
    assert text_of(reader, pale if shade == "faded" else ImageOps.invert(image)) == TEXT


def test_small_print_and_a_very_long_line_are_read_whole(reader: Reader) -> None:
    small = printed(("Nine pixels high, 12.50",), size=10, wide=220, high=70)
    assert text_of(reader, small) == "Nine pixels high, 12.50"
    words = "the house by the river was sold to a teacher from the north for 1,250 and nobody asked why"
    long = printed((f"{words} {words}",), size=30, wide=3200, high=100)
    assert text_of(reader, long) == f"{words} {words}"


def test_where_nothing_is_written_nothing_is_read(reader: Reader) -> None:
    grain = 225 + np.random.default_rng(1).normal(0, 3, (300, 400))
    for image in (
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (900, 9), "white"),
        Image.fromarray(grain.astype(np.uint8)).convert("RGB"),
    ):
        assert reader.read(image).lines == ()


def test_a_page_from_a_package_is_read(reader: Reader) -> None:
    skimage = pytest.importorskip("skimage.data")  # its wheel holds both pictures
    text = text_of(reader, Image.fromarray(skimage.page()).convert("RGB"))
    assert text.startswith("Region-based segmentation\nLet us first determine markers of the coins and the\n")
    assert "the markers are found at the two extreme parts of the\nhistogram of grey values:" in text
    assert text_of(reader, Image.fromarray(skimage.text()).convert("RGB")) == ""  # handwritten formulas


def test_stopping_ends_the_reading_with_what_is_read(reader: Reader) -> None:
    stop = threading.Event()
    read = reader.read(printed(), stop, stop.set)
    assert len(read.lines) == 1
    assert reader.read(printed(), stop).lines == ()


def test_long_pages_are_searched_in_bands_that_lose_and_double_nothing(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(f"{number} times {number + 7} is {number * (number + 7)}" for number in range(10, 32))
    monkeypatch.setattr(reading, "BAND", 120_000)
    image = printed(lines, size=20, wide=400, high=960)
    assert text_of(reader, image) == "\n".join(lines)


def test_a_headline_that_every_band_cuts_is_read(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tuple(f"{number} times {number + 7} is {number * (number + 7)}" for number in range(10, 32))
    image = printed(lines, size=20, wide=600, high=960)
    image.paste("white", (0, 170, 600, 370))
    font = ImageFont.truetype(str(FONTS / "DejaVuSans.ttf"), 180)
    ImageDraw.Draw(image).text((40, 170), "SALE", "black", font)
    whole = text_of(reader, image)
    monkeypatch.setattr(reading, "BAND", 150_000)
    assert "SALE" in whole and text_of(reader, image) == whole


@pytest.mark.parametrize(("high", "wide"), [(100, 100), (5000, 900), (32, 40_000)])
def test_bands_cover_all_rows_and_bound_the_memory(high: int, wide: int) -> None:
    found = list(bands(high, wide, 40))
    assert found[0][0] == 0 and found[-1][1] == high
    for (_, end), (top, _) in pairwise(found):
        assert top < end
    assert all((bottom - top) * wide <= max(reading.BAND, 120 * wide) for top, bottom in found)


def test_a_huge_picture_is_made_smaller_before_it_is_read(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 120_000)
    large = printed().resize((1440, 780), Image.Resampling.LANCZOS)
    read = reader.read(large)
    assert read.size[0] * read.size[1] < 125_000
    assert laid_out(read)[0].replace("\n\n", "\n") == TEXT
    assert all(ink(large, line) > 0.1 for line in read.lines)
