"""A searchable PDF: its words are found again where they stand, by Poppler's pdftotext and by PDFium."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from tests.grounding.pages import SIZE, askew, blank, document, printed
from vlm_app.errors import BadInput
from vlm_app.grounding.formats import Result, Source, exported
from vlm_app.types import Box, Region

NEAR = 2.5  # points (5 pixels): how far an end of a printed word may be; printing moves some letters closer
ASKEW = 3.0  # points, for the middle of a word that is turned

Found = list[tuple[int, str, tuple[float, float, float, float]]]  # page, word, box in points


@pytest.fixture(scope="module", autouse=True)
def poppler() -> None:
    if shutil.which("pdftotext") is None:
        pytest.fail("The tests of PDFs need pdftotext: `apt-get install poppler-utils` brings it.")


def pdftotext(data: bytes, folder: Path, *options: str) -> str:
    path = folder / "one.pdf"
    path.write_bytes(data)
    return subprocess.run(
        ["pdftotext", *options, str(path), "-"], capture_output=True, text=True, check=True
    ).stdout


def words(data: bytes, folder: Path) -> Found:
    found: Found = []
    for number, page in enumerate(pdftotext(data, folder, "-bbox").split("<page ")[1:], 1):
        pattern = r'<word xMin="(\S+)" yMin="(\S+)" xMax="(\S+)" yMax="(\S+)">(.*?)</word>'
        for x0, y0, x1, y1, word in re.findall(pattern, page):
            found.append((number, unescape(word), (float(x0), float(y0), float(x1), float(y1))))
    return found


def middle(box: tuple[float, float, float, float]) -> np.ndarray:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def test_every_word_is_found_where_it_is_printed(tmp_path: Path) -> None:
    page = printed()
    found = words(exported(document(page), "pdf"), tmp_path)
    assert [word for _, word, _ in found] == [word for word, _ in page.words]
    for (_, _, box), (_, pixels) in zip(found, page.words, strict=True):
        assert np.abs(np.array(box) - np.array(pixels) / 2).max() < NEAR  # 144 dpi: two pixels a point


@pytest.mark.parametrize("angle", [-5, -3, -1, 1, 3, 5, 90, 93, 180, 270])
def test_words_of_a_page_that_is_askew_stay_whole_and_in_place(angle: float, tmp_path: Path) -> None:
    texts = ("Invoice number 4711", "Total amount due", "within thirty days")
    down = np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle))])
    middles = [np.array([600, 800]) + down * 60 * n for n in range(len(texts))]
    regions = tuple(askew(text, angle, place, 500, 36) for text, place in zip(texts, middles, strict=True))
    found = words(exported(blank(*regions), "pdf"), tmp_path)
    assert sorted(word for _, word, _ in found) == sorted(word for text in texts for word in text.split())
    for text, region in zip(texts, regions, strict=True):
        boxes = {word: box for _, word, box in found}
        ends = [middle(boxes[word]) for word in (text.split()[0], text.split()[-1])]
        corners = np.array([(point.x * SIZE[0], point.y * SIZE[1]) for point in region.shape.points]) / 2
        begin, end = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
        along = (end - begin) / np.linalg.norm(end - begin)
        for spot in ends:  # on the line's axis, and within its length
            assert abs((spot - begin) @ down) < ASKEW
            assert -ASKEW < (spot - begin) @ along < np.linalg.norm(end - begin) + ASKEW
        assert (ends[1] - ends[0]) @ along > 0


@pytest.mark.parametrize("angle", [0, 3, 90, 180, 270])
def test_the_text_comes_in_the_order_in_which_the_page_is_read(angle: float, tmp_path: Path) -> None:
    """Pieces of the text layer stand in the file as they are read, also on a page on its side."""
    texts = [f"line{n}" for n in range(6)]
    turn = np.radians(angle)
    regions = [
        askew(text, angle, (600 - n * 60 * np.sin(turn), 800 + n * 60 * np.cos(turn)), 200, 40)
        for n, text in enumerate(texts)
    ]
    data = exported(blank(*reversed(regions)), "pdf")
    assert pdftotext(data, tmp_path, "-raw").split() == texts


def test_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    rows = tuple(
        (f"{side}{n} stands in its column", left, 200 + n * 50, 22)
        for n in range(4)
        for side, left in (("left", 100), ("right", 700))
    )
    text = pdftotext(exported(document(printed(rows)), "pdf"), tmp_path, "-raw")
    firsts = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert firsts == [f"{side}{n}" for side in ("left", "right") for n in range(4)]


@pytest.mark.parametrize(
    "text",
    [
        "Žluťoučký kůň Ελληνικά Русский",
        "漢字テスト東京都",
        "안녕하세요 세계",
        "שלום עולם",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "สวัสดีชาวโลก",
        "አማርኛ ქართული Հայերեն",
        "fox 🦊 and 𝔘𐍈",
    ],
)
def test_text_of_any_script_is_found(text: str, tmp_path: Path) -> None:
    """Also of those that DejaVu lacks: the invisible font has every letter of the document."""
    data = exported(blank(Region("text line", Box(0.1, 0.1, 0.6, 0.125), text=text)), "pdf")
    found = pdftotext(data, tmp_path, "-raw")
    assert re.sub("[\u202a-\u202e\\s]", "", found) == text.replace(" ", "")


def test_nothing_of_the_text_is_seen_and_the_page_is_the_image(tmp_path: Path) -> None:
    page = printed()
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    photo = Image.fromarray(noise).resize((120, 160)).resize(SIZE, Image.Resampling.BICUBIC)
    given = Result(
        (Source("a.png", SIZE, page.image), Source("b.png", SIZE, photo)),
        (*page.regions, *printed(image=1).regions),
    )
    with pypdfium2.PdfDocument(exported(given, "pdf")) as document:
        for place, source in enumerate(given.images):
            shown = np.asarray(document[place].render(scale=2).to_pil().convert("RGB"), np.int16)
            assert shown.shape[:2] == SIZE[::-1]
            difference = np.abs(shown - np.asarray(source.pixels, np.int16))
            assert difference.mean() < 1.5  # of 255: PDFium interpolates; the text layer adds nothing


def test_each_image_is_a_page_of_its_size_and_the_same_line_is_as_wide_on_each(tmp_path: Path) -> None:
    wide = Source("wide.png", (300, 200), Image.new("RGB", (300, 200), "navy"))
    tall = Source("tall.png", (200, 300), Image.new("RGB", (200, 300), "navy"))
    regions = tuple(Region("text line", Box(0, 0, 0.5, 0.1), n, "same words") for n in range(2))
    data = exported(Result((wide, tall), regions), "pdf")
    with pypdfium2.PdfDocument(data) as document:
        assert [document[n].get_size() for n in range(2)] == [(150, 100), (100, 150)]
    ends = {page: box[2] for page, word, box in words(data, tmp_path) if word == "words"}
    assert ends[1] == pytest.approx(75, abs=0.1) and ends[2] == pytest.approx(50, abs=0.1)


@pytest.mark.parametrize(("size", "page"), [((40_000, 40), (14_400, 14.4)), ((3, 2), (3, 3))])
def test_a_page_is_never_larger_or_smaller_than_pdf_knows(
    size: tuple[int, int], page: tuple[float, float], tmp_path: Path
) -> None:
    strip = Source("strip.png", size, Image.new("RGB", size))
    data = exported(Result((strip,), (Region("text line", Box(0.5, 0, 1, 1), text="end"),)), "pdf")
    with pypdfium2.PdfDocument(data) as document:
        assert document[0].get_size() == pytest.approx(page, abs=0.01)
    ((_, word, box),) = words(data, tmp_path)
    assert word == "end" and box[0] == pytest.approx(page[0] / 2, abs=0.8)


def test_a_paragraph_in_one_box_is_laid_out_in_lines(tmp_path: Path) -> None:
    text = (
        "A paragraph that a model has read as one region of several lines, one below the other, on the page."
    )
    data = exported(blank(Region("paragraph", Box(0.1, 0.1, 0.4, 0.18), text=text)), "pdf")
    found = words(data, tmp_path)
    assert [word for _, word, _ in found] == text.split()
    assert len({round(box[1]) for _, _, box in found}) > 2
    assert all(
        box[0] > 61 and box[2] < 246 and box[1] > 79 - NEAR and box[3] < 143 + NEAR for _, _, box in found
    )


def test_a_reading_without_places_is_found_on_its_page(tmp_path: Path) -> None:
    image = Source("a.png", SIZE, Image.new("RGB", SIZE, "white"))
    given = Result((image,), (), "Dear reader,\n\nall is well.", "pebble", "ocr")
    assert pdftotext(exported(given, "pdf"), tmp_path, "-raw").split("\n")[:2] == [
        "Dear reader,",
        "all is well.",
    ]
    assert words(exported(Result((image,), (), "A cat.", "pebble", "caption"), "pdf"), tmp_path) == []


def test_a_long_documents_images_are_opened_one_after_the_other() -> None:
    """Not all held: a page's pixels are made when it is written and freed before the next."""
    open_now: list[Image.Image] = []

    def load() -> Image.Image:
        assert len(open_now) <= 1
        open_now.clear()
        open_now.append(Image.new("RGB", (600, 800), "white"))
        return open_now[0]

    sources = tuple(Source(f"{n}.png", (600, 800), load=load) for n in range(100))
    regions = tuple(Region("text line", Box(0.1, 0.1, 0.5, 0.12), n, f"page number {n}") for n in range(100))
    data = exported(Result(sources, regions), "pdf")
    with pypdfium2.PdfDocument(data) as document:
        assert len(document) == 100
        assert document[99].get_textpage().get_text_bounded() == "page number 99"


def test_an_image_that_is_not_open_is_told() -> None:
    with pytest.raises(BadInput, match=r"pixels of 'a\.png' are needed"):
        exported(Result((Source("a.png", (4, 3)),)), "pdf")
    with pytest.raises(BadInput, match="there are none"):
        exported(Result(), "pdf")
