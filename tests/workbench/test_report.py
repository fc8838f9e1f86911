"""Reports: what a reader of the HTML file and of the PDF sees, and that neither does anything else."""

from __future__ import annotations

import io
import re
import subprocess
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from vlm_app.errors import BadInput
from vlm_app.grounding.palette import PALETTE, rgb
from vlm_app.media import picture_from
from vlm_app.types import Box, Mask, Picture, Point, Polygon, Region, Shape
from vlm_app.workbench.report import Clipping, report_html, report_pdf, shown

SQUARE = Box(0.4, 0.4, 0.6, 0.6)


def picture(size: tuple[int, int] = (600, 400), square: Box = SQUARE) -> Picture:
    """A red square on black."""
    image = Image.new("RGB", size)
    corners = [round(value * side) for value, side in zip(square.xyxy, size * 2, strict=True)]
    image.paste("red", (corners[0], corners[1], corners[2], corners[3]))
    return picture_from(image)


def clipping(shape: Shape | None = SQUARE, place: str = "cat.png", sentence: str = "A square.") -> Clipping:
    return Clipping(picture, None if shape is None else Region("square", shape, score=0.5), place, sentence)


class Reader(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def images(self, kind: str) -> list[Image.Image]:
        sources = [values["src"] for tag, values in self.tags if tag == "img" and values["class"] == kind]
        return [Image.open(io.BytesIO(b64decode(source.partition(",")[2]))) for source in sources]


def pdf_text(data: bytes, folder: Path) -> str:
    path = folder / "report.pdf"
    path.write_bytes(data)
    return subprocess.run(["pdftotext", str(path), "-"], capture_output=True, text=True, check=True).stdout


# --- what is shown ------------------------------------------------------------------------


def test_each_part_comes_in_its_order_with_place_name_and_sentence() -> None:
    given = [clipping(place=f"clip.mp4, 0:{n:02}", sentence=f"Sentence {n}.") for n in range(3)]
    found = Reader(report_html("Findings", given))
    assert len(found.images("part")) == len(found.images("whole")) == 3
    places = [found.words.index(f"0:{n:02}") for n in range(3)]
    sentences = [found.words.index(f"Sentence {n}.") for n in range(3)]
    assert sorted(places + sentences) == [
        place for pair in zip(places, sentences, strict=True) for place in pair
    ]
    assert found.words.count("square") == 3 and "3 parts" in found.words


def test_the_part_shows_the_region_with_a_margin_and_its_outline() -> None:
    part = np.asarray(shown(clipping()).part, np.int16)
    height, width = part.shape[:2]
    assert abs(part[height // 2, width // 2] - (255, 0, 0)).max() < 8
    assert part[2, 2].max() < 8  # what lies around it, to all sides
    assert part[-3, -3].max() < 8
    outline = (abs(part - rgb(PALETTE[0])).max(axis=2) < 60).any(axis=1)
    assert 0.1 < outline.argmax() / height < 0.4  # above the square, not at the part's edge


def test_the_small_picture_marks_where_the_part_lies() -> None:
    whole = shown(clipping(Box(0.7, 0.7, 0.8, 0.8))).whole
    assert whole is not None and max(whole.size) == 480 and whole.width / whole.height == 1.5
    pixels = np.asarray(whole, np.int16)
    down, across = np.nonzero(abs(pixels - rgb(PALETTE[0])).max(axis=2) < 60)
    assert 0.67 < across.mean() / whole.width < 0.83 and 0.67 < down.mean() / whole.height < 0.83


def test_a_whole_picture_or_most_of_it_needs_no_small_one() -> None:
    assert shown(clipping(None)).whole is None
    assert shown(clipping(Box(0.0, 0.05, 1.0, 1.0))).whole is None
    alone = shown(clipping(None))
    assert alone.name == "" and alone.part.width / alone.part.height == 1.5


RIM = Mask(Box(0.0, 0.0, 1.0, 1.0), (4, 4), bytes([0] * 5 + [1] + [0] * 10))


@pytest.mark.parametrize(
    "shape",
    [
        Point(0, 0),
        Point(1, 1),
        Box(0, 0, 0, 0),
        Box(1, 1, 1, 1),
        Box(0, 0, 1, 1),
        Polygon((Point(0, 0), Point(1, 0.5), Point(0.2, 1))),
        RIM,
    ],
    ids=["corner", "other corner", "empty", "empty at the end", "all", "polygon", "mask"],
)
@pytest.mark.parametrize("size", [(1, 1), (600, 400), (3000, 9), (9, 3000)])
def test_every_shape_on_every_picture_has_its_place_in_both(shape: Shape, size: tuple[int, int]) -> None:
    one = Clipping(lambda: picture(size), Region("thing", shape), "a.png", "It is there.")
    assert len(Reader(report_html("", [one])).images("part")) == 1
    assert report_pdf("", [one]).startswith(b"%PDF")


@settings(max_examples=60, deadline=None)
@each(*[st.floats(0, 1)] * 4)
def test_a_region_lies_on_its_part_as_it_lies_on_the_picture(a: float, b: float, c: float, d: float) -> None:
    """The outline is drawn around the same pixels."""
    from vlm_app.workbench.report import _edges, _moved

    box, size = Box(min(a, c), min(b, d), max(a, c), max(b, d)), (640, 480)
    left, top, right, bottom = _edges(box, size)
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    moved = _moved(box, (left, top, right, bottom), size)
    assert isinstance(moved, Box)
    back = [left + moved.x0 * (right - left), top + moved.y0 * (bottom - top)]
    back += [left + moved.x1 * (right - left), top + moved.y1 * (bottom - top)]
    assert np.abs(np.array(back) - np.array(box.xyxy) * (size * 2)).max() < 0.01


# --- nothing else -------------------------------------------------------------------------

HOSTILE = '<script src="//evil"></script><img src=x onerror="alert(1)">" onload="x&amp;'


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    one = Clipping(picture, Region(HOSTILE, SQUARE, text=HOSTILE), HOSTILE, HOSTILE)
    data = report_html(HOSTILE, [one])
    found = Reader(data)
    assert {tag for tag, _ in found.tags} == set(
        "html head meta title style body main h1 p article img div h2".split()
    )
    for tag, values in found.tags:
        assert not [name for name in values if name.startswith("on")]
        if tag == "img":
            assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", values["src"])
    policy = next(values["content"] for _, values in found.tags if values.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "url(" not in data.decode() and "@import" not in data.decode()
    assert found.words.count(HOSTILE) == 5  # title twice, place, name and sentence, word for word


def test_pictures_carry_no_metadata() -> None:
    image = Image.new("RGB", (64, 64))
    image.info["exif"] = b"Exif\0\0secret"
    one = Clipping(lambda: Picture(image, "0"), None, "", "")
    assert b"secret" not in report_pdf("", [one])
    assert all(not found.getexif() for found in Reader(report_html("", [one])).images("part"))


@settings(max_examples=15, deadline=None)
@each(st.text(max_size=40), st.text(max_size=40), st.text(max_size=200))
def test_whatever_a_model_says_makes_a_report(title: str, name: str, sentence: str) -> None:
    one = Clipping(lambda: picture((40, 30)), Region(name, SQUARE), name, sentence)
    assert Reader(report_html(title, [one])).images("part")
    assert report_pdf(title, [one]).startswith(b"%PDF")


def test_an_empty_report_is_refused() -> None:
    for make in (report_html, report_pdf):
        with pytest.raises(BadInput, match="at least one part of a picture, found none"):
            make("Findings", [])


# --- paper --------------------------------------------------------------------------------


def test_the_pdf_holds_title_places_and_sentences_as_text(tmp_path: Path) -> None:
    given = [clipping(place="invoice.pdf, page 3", sentence="Žluťoučký kůň.\n\nSecond paragraph.")]
    text = pdf_text(report_pdf("What stands there", given), tmp_path)
    for words in (
        "What stands there",
        "invoice.pdf, page 3",
        "square",
        "Žluťoučký kůň.",
        "Second paragraph.",
    ):
        assert words in text


@pytest.mark.parametrize("words", ["漢字テスト", "안녕하세요", "שלום עולם", "नमस्ते"])
def test_words_of_any_script_are_copied_from_the_pdf(words: str, tmp_path: Path) -> None:
    text = pdf_text(report_pdf("Report", [clipping(sentence=words)]), tmp_path)
    assert words in re.sub("[\u202a-\u202e]", "", text)


def test_a_sentence_of_pages_is_there_to_its_end(tmp_path: Path) -> None:
    sentence = " ".join(f"word{n}" for n in range(1500))
    data = report_pdf("Report", [clipping(), clipping(sentence=sentence), clipping()])
    text = pdf_text(data, tmp_path)
    assert list(map(int, re.findall(r"word(\d+)", text))) == list(range(1500))
    with pypdfium2.PdfDocument(data) as document:
        assert 3 <= len(document) <= 6


def test_parts_are_not_divided_between_pages_and_nothing_is_beyond_the_edge(tmp_path: Path) -> None:
    tall = Clipping(
        lambda: picture((300, 900)), Region("tower", Box(0.4, 0.1, 0.6, 0.9)), "b.png", "A tower. " * 30
    )
    data = report_pdf("Report", [clipping(), tall, clipping(None), tall, clipping()] * 2)
    with pypdfium2.PdfDocument(data) as document:
        pictures = 0
        for page in document:
            width, height = page.get_size()
            for item in page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
                left, bottom, right, top = item.get_bounds()
                assert 0 < left < right < width and 0 < bottom < top < height
                pictures += 1
        assert pictures == 10 + 4  # a whole picture, or most of it, has no small one
