"""What a user meets who opens a PDF: its pages as they are printed, one sentence for a bad one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import matplotlib
import psutil
import pytest
from fpdf import FPDF
from PIL import Image

from tests.media.opened_documents import Limits, limits, opened, sentence, slow_shading
from tests.media.pdf_files import FOUR_CORNERS, many_pages, one_page, stream
from tests.sizes import DOCUMENT_PAGES
from vlm_app.media import documents
from vlm_app.media.documents import Document, open_document

__all__ = ["limits", "opened"]


ROOT = Path(documents.__file__).resolve().parents[2]
REAL = sorted(Path(matplotlib.get_data_path(), "images").glob("*.pdf"))
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


def corners(image: Image.Image) -> tuple[object, ...]:
    """The colours just inside the four corners, from the left top one clockwise."""
    width, height = image.size
    places = ((5, 5), (width - 6, 5), (width - 6, height - 6), (5, height - 6))
    return tuple(image.getpixel(place) for place in places)


# --- pages as they are printed ----------------------------------------------------------


def test_a_page_is_drawn_at_144_dpi_or_what_is_asked_for(opened: Callable[[bytes], Document]) -> None:
    with opened(many_pages([FOUR_CORNERS, b"", b""])) as document:
        assert document.pages == 3 and document.sizes == ((300.0, 200.0),) * 3
        picture = document.picture(1)
        assert picture.size == (600, 400) and picture.note == ""
        assert corners(picture.pixels) == (RED, GREEN, BLACK, BLUE)
        assert document.picture(1, dpi=72).size == (300, 200)
        assert document.picture(2).pixels.getextrema() == ((255, 255),) * 3
        assert document.picture(2) == document.picture(3) != picture


def test_a_page_that_does_not_fill_whole_pixels_is_rounded_up(opened: Callable[[bytes], Document]) -> None:
    a4 = FPDF()
    a4.add_page()
    assert opened(bytes(a4.output())).picture(1).size == (1191, 1684)


@pytest.mark.parametrize(
    ("turn", "size", "seen"),
    [
        (0, (300, 200), (RED, GREEN, BLACK, BLUE)),
        (90, (200, 300), (BLUE, RED, GREEN, BLACK)),
        (180, (300, 200), (BLACK, BLUE, RED, GREEN)),
        (270, (200, 300), (GREEN, BLACK, BLUE, RED)),
        (-90, (200, 300), (GREEN, BLACK, BLUE, RED)),
    ],
)
def test_a_page_that_is_to_be_turned_comes_upright(
    opened: Callable[[bytes], Document], turn: int, size: tuple[int, int], seen: tuple[object, ...]
) -> None:
    document = opened(one_page(FOUR_CORNERS, b"/MediaBox [0 0 300 200] /Rotate %d" % turn))
    assert document.sizes == (size,)
    picture = document.picture(1, dpi=72)
    assert picture.size == size and corners(picture.pixels) == seen


def test_a_cropped_page_shows_what_is_left_of_it(opened: Callable[[bytes], Document]) -> None:
    document = opened(one_page(FOUR_CORNERS, b"/MediaBox [0 0 300 200] /CropBox [200 100 300 200]"))
    assert document.sizes == ((100.0, 100.0),)
    picture = document.picture(1, dpi=72)
    assert corners(picture.pixels) == ((255, 255, 255), GREEN, (255, 255, 255), (255, 255, 255))
    moved = FOUR_CORNERS.replace(b"1 1 1 rg", b"1 0 0 1 -1000 500 cm 1 1 1 rg")
    document = opened(one_page(moved, b"/MediaBox [-1000 500 -700 700]"))
    assert corners(document.picture(1).pixels) == (RED, GREEN, BLACK, BLUE)


def test_form_fields_and_annotations_are_drawn(opened: Callable[[bytes], Document]) -> None:
    look = stream(b"1 0 0 rg 0 0 100 100 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 100 100]")
    fonts = b"/DR << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (who) /V (Ada Lovelace) /F 4 /P 3 0 R "
        b"/DA (/F1 24 Tf 0 0 1 rg) /Rect [150 50 290 90] >>"
    )
    data = one_page(
        b"",
        b"/MediaBox [0 0 300 200] /Annots [5 0 R 6 0 R]",
        more={
            5: b"<< /Type /Annot /Subtype /Square /Rect [0 100 100 200] /F 4 /AP << /N 7 0 R >> >>",
            6: field,
            7: look,
        },
        catalog=b"/AcroForm << /Fields [6 0 R] /NeedAppearances true /DA (/F1 12 Tf 0 g) %s >>" % fonts,
    )
    pixels = opened(data).picture(1, dpi=72).pixels
    assert pixels.getpixel((50, 50)) == RED
    written_blue = [pixels.getpixel((x, y)) for x in range(150, 290) for y in range(110, 150)]
    assert sum(each == BLUE for each in written_blue) > 50


@pytest.mark.parametrize("file", REAL, ids=lambda file: str(file.name))
def test_real_files_open(file: Path) -> None:
    """Icons that come with matplotlib, drawn by Cairo and Inkscape."""
    with open_document(file) as document:
        assert document.pages == 1
        picture = document.picture(1, dpi=288)
        assert picture.size == tuple(4 * round(side) for side in document.sizes[0])
        assert len(picture.pixels.getcolors(1 << 24) or ()) > 2
        assert document.lines(1) == ()


# --- limits -----------------------------------------------------------------------------


def test_a_huge_page_is_drawn_smaller_and_says_so(
    opened: Callable[[bytes], Document], limits: Limits
) -> None:
    limits(max_pixels=1_000_000)
    picture = opened(one_page(b"1 0 0 rg 0 0 14400 7200 re f", b"/MediaBox [0 0 14400 7200]")).picture(1)
    width, height = picture.size
    assert 990_000 < width * height <= 1_000_000 and abs(width - 2 * height) <= 2
    assert picture.note == "drawn at 7.06 dpi, not 144: the page measures 508 × 254 cm"
    assert corners(picture.pixels) == (RED,) * 4


def test_a_page_of_which_nothing_would_be_seen_is_refused(
    opened: Callable[[bytes], Document], limits: Limits
) -> None:
    page_1 = "Page 1 of “invoice.pdf” "
    narrow = opened(one_page(b"", b"/MediaBox [0 0 3000 2]"))
    assert "too narrow for a model" in sentence(lambda: narrow.picture(1), page_1)
    limits(max_pixels=10_000)
    huge = opened(one_page(b"", b"/MediaBox [0 0 14400 14400]"))
    assert "measures 508 × 508 cm" in sentence(lambda: huge.picture(1), page_1)


@pytest.mark.parametrize("box", [b"[0 0 0 0]", b"[0 0 (a) /b]", b"[0 0 1e30 1e30]", b"[300 200 0 0]", b"7"])
def test_a_page_without_a_proper_size_is_still_a_page(
    opened: Callable[[bytes], Document], box: bytes
) -> None:
    document = opened(one_page(b"", b"/MediaBox " + box))
    width, height = document.sizes[0]
    assert document.picture(1, dpi=72).size == (round(width), round(height))


def test_two_hundred_pages_open_and_one_more_is_refused(opened: Callable[[bytes], Document]) -> None:
    assert opened(many_pages([b""] * 200)).pages == 200
    said = sentence(lambda: opened(many_pages([b""] * 201)))
    assert "has 201 pages, more than the 200 that are opened here" in said


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_page_that_is_not_there_is_named(opened: Callable[[bytes], Document], number: int) -> None:
    document = opened(many_pages([b""] * 3))
    assert f"has no page {number}: it has pages 1 to 3." in sentence(lambda: document.picture(number))
    assert f"has no page {number}" in sentence(lambda: document.lines(number))
    one = opened(one_page(b""))
    assert sentence(lambda: one.picture(2)) == "“invoice.pdf” has no page 2: it has page 1 alone."


@pytest.mark.parametrize("dpi", [0.0, -5.0, 5000.0, float("nan")])
def test_a_resolution_that_makes_no_sense_is_refused(opened: Callable[[bytes], Document], dpi: float) -> None:
    document = opened(one_page(b""))
    sentence(lambda: document.picture(1, dpi=dpi), "Pages are drawn at 1 to 1,200 dpi")


@pytest.mark.parametrize("box", [b"[0 0 300 200]", b"[0 0 595.28 841.89]", b"[0 0 9000 14400]", b"[0 0 7 5]"])
@pytest.mark.parametrize("dpi", [50.0, 144.0])
def test_the_size_of_a_page_is_known_before_it_is_drawn(
    opened: Callable[[bytes], Document], limits: Limits, box: bytes, dpi: float
) -> None:
    limits(max_pixels=3_000_000)
    document = opened(one_page(b"", b"/MediaBox " + box))
    assert document.pixels(1, dpi) == document.picture(1, dpi).size


# --- many pages, many people ------------------------------------------------------------


def scanned(pages: int) -> bytes:
    """Pages that are large pictures, each of its own."""
    noise = Image.effect_noise((700, 1000), 60)
    scans = [noise.transform(noise.size, Image.Transform.AFFINE, (1, 0, n, 0, 1, n)) for n in range(pages)]
    file = BytesIO()
    scans[0].save(file, "PDF", save_all=True, append_images=scans[1:], quality=20, resolution=72)
    return file.getvalue()


def test_memory_stays_flat_over_all_pages(opened: Callable[[bytes], Document]) -> None:
    document = opened(scanned(DOCUMENT_PAGES))
    worker = next(each for each in documents._pool()._workers if each.pid)
    own, other = psutil.Process(os.getpid()), psutil.Process(worker.pid)
    used = []
    for number in range(1, document.pages + 1):
        assert document.picture(number, dpi=100).size == (973, 1389)
        document.lines(number)
        assert worker.pid == other.pid
        used.append((own.memory_info().rss, other.memory_info().rss))
    warm = len(used) // 4
    for before, after in zip(used[warm], used[-1], strict=True):
        assert after - before < 10_000_000, (before, after)


def test_many_threads_each_get_their_own_page(opened: Callable[[bytes], Document]) -> None:
    contents = [b"%.3f 0 0 rg 0 0 300 200 re f" % (n / 20) for n in range(20)]
    document = opened(many_pages(contents))
    found: dict[int, object] = {}

    def look(number: int) -> None:
        found[number] = document.picture(number, dpi=20).pixels.getpixel((5, 5))

    threads = [threading.Thread(target=look, args=(number,)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for number, colour in found.items():
        assert isinstance(colour, tuple) and abs(colour[0] - 255 * (number - 1) / 20) <= 1


def test_opening_images_does_not_wait_for_a_slow_page(
    opened: Callable[[bytes], Document], limits: Limits
) -> None:
    from vlm_app.media import open_image

    png = BytesIO()
    Image.new("RGB", (30, 20)).save(png, "PNG")
    open_image(png.getvalue())  # its worker is warm
    document = opened(slow_shading())
    limits(decode_seconds=20)
    slow = threading.Thread(target=lambda: sentence(lambda: document.picture(1), "Page 1"))
    slow.start()
    open_image(png.getvalue())
    assert slow.is_alive()
    for worker in documents._pool()._workers:
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)
    slow.join()


def test_pdfium_is_in_the_worker_alone_and_only_when_a_pdf_was_opened() -> None:
    for module in ("vlm_app.media.documents", "vlm_app.media.worker"):
        code = f"import sys, {module}; print('pypdfium2' in sys.modules, 'numpy' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == "False False\n"
