"""What a user meets who opens a PDF: its pages as they are printed, one sentence for a bad one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import psutil
import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission
from PIL import Image

from tests.media.pdf_files import FOUR_CORNERS, many_pages, one_page, pdf, stream, written
from tests.sizes import DOCUMENT_PAGES
from vlm_app.errors import BadInput
from vlm_app.media import documents
from vlm_app.media.documents import Document, is_document, open_document
from vlm_app.settings import settings

Limits = Callable[..., None]
ROOT = Path(documents.__file__).resolve().parents[2]
REAL = sorted(Path(matplotlib.get_data_path(), "images").glob("*.pdf"))
RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)


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


def sentence(act: Callable[[], Any], begins: str = "“invoice.pdf” ", seconds: float = 3.0) -> str:
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


def corners(image: Image.Image) -> tuple[object, ...]:
    """The colours just inside the four corners, from the left top one clockwise."""
    width, height = image.size
    places = ((5, 5), (width - 6, 5), (width - 6, height - 6), (5, height - 6))
    return tuple(image.getpixel(place) for place in places)


# --- pages as they are printed ------------------------------------------------------------


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


# --- limits -------------------------------------------------------------------------------


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


# --- bad files ----------------------------------------------------------------------------


def protected(owner: str, user: str | None) -> bytes:
    file = FPDF()
    file.add_page()
    file.set_font("Helvetica", size=20)
    file.text(20, 30, "hello")
    file.set_encryption(owner_password=owner, user_password=user, permissions=AccessPermission.none())
    return bytes(file.output())


def a_page_that_is_gone() -> bytes:
    return pdf(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [3 0 R 4 0 R 3 0 R] /Count 3 >>",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] >>",
        }
    )


def without_pages(count: bytes) -> bytes:
    return pdf({1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [] /Count %s >>" % count})


WHOLE = many_pages([written((20, 100, "the quick brown fox"))] * 50)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"dear all, this is no PDF", "is not a PDF document: expected one, found text"),
        (b"PK\x03\x04word/document.xml", "found a ZIP archive or office document"),
        (bytes(range(256)) * 9, "found data of another kind"),
        (b"<!doctype html><h1>404</h1>", "found a web page"),
        (b"%PDF-1.7", "is damaged or cut off"),
        (b"%PDF-1.4\n" + bytes(range(256)) * 100, "is damaged or cut off"),
        (WHOLE[: len(WHOLE) // 2], "is damaged or cut off"),
        (without_pages(b"0"), "expected a PDF with pages, found none"),
        (without_pages(b"-5"), "expected a PDF with pages, found none"),
        (without_pages(b"2000000000"), "expected a PDF with pages, found none"),
        (protected("owner", "user"), "is protected with a password: save a copy without one"),
    ],
    ids=[
        "empty", "text", "docx", "noise", "page", "head", "broken", "cut off",
        "no pages", "fewer pages", "2 billion pages", "password",
    ],
)  # fmt: skip
def test_a_bad_file_gets_one_sentence(opened: Callable[[bytes], Document], data: bytes, words: str) -> None:
    assert words in sentence(lambda: opened(data))


def test_a_file_that_may_only_not_be_changed_opens(opened: Callable[[bytes], Document]) -> None:
    document = opened(protected("owner", None))
    assert [line.text for line in document.lines(1)] == ["hello"]


def test_one_broken_page_does_not_cost_the_others(opened: Callable[[bytes], Document]) -> None:
    document = opened(a_page_that_is_gone())
    assert document.pages == 3
    assert document.picture(1).size == document.picture(3).size == (600, 400)
    said = sentence(lambda: document.picture(2), "Page 2 of “invoice.pdf” ")
    assert "is damaged" in said
    sentence(lambda: document.lines(2), "Page 2 of “invoice.pdf” ")


def test_a_path_that_cannot_be_read_is_named_without_its_folder(tmp_path: Path) -> None:
    gone = sentence(lambda: open_document(tmp_path / "gone.pdf"), "“gone.pdf” ")
    assert gone == "“gone.pdf” does not exist: check the name and the folder."
    assert "is a folder" in sentence(lambda: open_document(tmp_path, "invoice.pdf"))
    sentence(lambda: open_document(Path("a\0b.pdf")), "“a b.pdf” is not the name of a file")


def test_a_file_that_went_away_meanwhile_is_named(tmp_path: Path) -> None:
    file = tmp_path / "invoice.pdf"
    file.write_bytes(one_page(b""))
    document = open_document(file, "my own name.pdf")
    file.unlink()
    assert "does not exist" in sentence(lambda: document.picture(1), "“my own name.pdf” ")


def test_what_a_file_holds_says_whether_it_is_a_document(tmp_path: Path) -> None:
    png = BytesIO()
    Image.new("RGB", (3, 2)).save(png, "PNG")
    kinds = {
        "a.pdf": (one_page(b""), True),
        "b": (b"\n\n" + one_page(b""), True),
        "c.pdf": (png.getvalue(), False),
        "d.png": (one_page(b""), True),
        "e.png": (png.getvalue(), False),
        "f.pdf": (b"", True),
        "g.txt": (b"hello", False),
    }
    for name, (data, expected) in kinds.items():
        (tmp_path / name).write_bytes(data)
        assert is_document(tmp_path / name) is expected, name
    assert not is_document(tmp_path / "gone.png") and is_document(tmp_path / "gone.PDF")


# --- hostile files ------------------------------------------------------------------------


def form(content: bytes, inner: int) -> bytes:
    head = b"/Type /XObject /Subtype /Form /BBox [0 0 300 300] /Resources << /XObject << /X %d 0 R >> >>"
    return stream(content, head % inner)


def slow_shading() -> bytes:
    program = b"{ " + b"dup mul sqrt sin cos abs " * 4000 + b" dup dup }"
    head = b"/FunctionType 4 /Domain [0 1 0 1] /Range [0 1 0 1 0 1]"
    shading = (
        b"/Shading << /S << /ShadingType 1 /ColorSpace /DeviceRGB /Domain [0 1 0 1] "
        b"/Matrix [2000 0 0 2000 0 0] /Function 5 0 R >> >>"
    )
    page = b"/MediaBox [0 0 2000 2000]"
    return one_page(b"/S sh", page, shading, more={5: stream(program, head, packed=False)})


def huge_image() -> bytes:
    head = (
        b"/Type /XObject /Subtype /Image /Width 60000 /Height 60000 "
        b"/BitsPerComponent 8 /ColorSpace /DeviceRGB"
    )
    resources = b"/XObject << /I 5 0 R >>"
    return one_page(
        b"300 0 0 200 0 0 cm /I Do", resources=resources, more={5: stream(b"\0" * 180_000_000, head)}
    )


def forms_in_forms() -> bytes:
    """Ten forms, each of which draws the next ten times."""
    more = {5 + level: form(b"/X Do " * 10, 6 + level) for level in range(9)}
    more[14] = stream(b"1 0 0 rg 0 0 9 9 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]")
    return one_page(b"/X Do", resources=b"/XObject << /X 5 0 R >>", more=more)


def many_tiles() -> bytes:
    head = (
        b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] "
        b"/XStep 0.01 /YStep 0.01 /Resources << >>"
    )
    content, page = b"/Pattern cs /P scn 0 0 5000 5000 re f", b"/MediaBox [0 0 5000 5000]"
    tile = stream(b"0.5 g 0 0 1 1 re f " * 2000, head)
    return one_page(content, page, b"/Pattern << /P 5 0 R >>", more={5: tile})


HOSTILE = {
    "nested arrays": lambda: one_page(b"", more={5: b"[" * 1_000_000 + b"]" * 1_000_000}),
    "nested content": lambda: one_page(b"[" * 2_000_000),
    "saved states": lambda: one_page(b"q " * 1_000_000),
    "pages that hold themselves": lambda: pdf(
        {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 5 >>"}
    ),
    "forms in forms": forms_in_forms,
    "a form that draws itself": lambda: one_page(
        b"/X Do", resources=b"/XObject << /X 5 0 R >>", more={5: form(b"/X Do /X Do", 5)}
    ),
    "a stream of 200 MB": lambda: one_page(b"0 " * 100_000_000),
    "a huge image": huge_image,
    "a slow shading": slow_shading,
    "many tiles": many_tiles,
    "small dashes": lambda: one_page(b"[0.0001 0.0001] 0 d 1 w 0 0 m 100000 100000 l S " * 50),
    "many characters": lambda: one_page(written(*[(10, 10, "x" * 50)] * 20_000)),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_costs_its_time_limit_at_most_and_the_next_one_opens(
    kind: str, opened: Callable[[bytes], Document], limits: Limits
) -> None:
    documents._pool().run(documents.Job("document", {"path": "", "want": "sizes"}))  # the worker is warm
    limits(decode_seconds=1)
    started = time.monotonic()
    document = opened(HOSTILE[kind]())
    for act in (document.picture, document.lines):
        try:
            act(1)
        except BadInput as error:
            assert error.sentence.startswith("Page 1 of “invoice.pdf” ") and error.sentence.endswith(".")
    assert time.monotonic() - started < 12
    limits(decode_seconds=20)
    assert opened(one_page(FOUR_CORNERS)).picture(1).size == (600, 400)


@pytest.mark.parametrize("kind", ["a slow shading", "many tiles", "a stream of 200 MB"])
def test_a_page_that_takes_too_long_is_given_up(
    kind: str, opened: Callable[[bytes], Document], limits: Limits
) -> None:
    document = opened(HOSTILE[kind]())
    limits(decode_seconds=0.5)
    said = sentence(lambda: document.picture(1), "Page 1 of “invoice.pdf” ")
    assert "takes longer than 0.5 s to open: leave it out" in said


# --- many pages, many people --------------------------------------------------------------


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
    limits(decode_seconds=2)
    slow = threading.Thread(target=lambda: sentence(lambda: document.picture(1), "Page 1"))
    slow.start()
    started = time.monotonic()
    open_image(png.getvalue())
    assert time.monotonic() - started < 1 and slow.is_alive()
    slow.join()


def test_pdfium_is_in_the_worker_alone_and_only_when_a_pdf_was_opened() -> None:
    for module in ("vlm_app.media.documents", "vlm_app.media.worker"):
        code = f"import sys, {module}; print('pypdfium2' in sys.modules, 'numpy' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout == "False False\n"
