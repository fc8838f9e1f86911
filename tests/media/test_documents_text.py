"""The text of a PDF lies where it is seen: boxes are compared with the pixels of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw

from tests.media.pdf_files import one_page, stream, written
from vlm_app.media.documents import Document, open_document
from vlm_app.types import Box, Region

DPI = 288
THREE = [(20, 160, "The quick brown fox"), (20, 120, "jumps over 12.50 EUR"), (60, 30, "j")]
Open = Callable[[bytes], Document]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def open_bytes(data: bytes) -> Document:
        (tmp_path / "letter.pdf").write_bytes(data)
        return open_document(tmp_path / "letter.pdf")

    return open_bytes


def box_of(line: Region) -> Box:
    assert isinstance(line.shape, Box)
    return line.shape


def ink(document: Document, number: int = 1) -> npt.NDArray[np.bool_]:
    """Which pixels of a page are dark."""
    return np.asarray(document.picture(number, dpi=DPI).pixels.convert("L")) < 200


def assert_boxes_are_on_the_ink(document: Document, number: int = 1, within: float = 1.6) -> None:
    """Each box ends where its ink does, to a pixel and a half, and no ink lies outside of all."""
    dark, lines = ink(document, number), document.lines(number)
    height, width = dark.shape
    left_over = dark.copy()
    for line in lines:
        x0, y0, x1, y1 = (
            side * size for side, size in zip(box_of(line).xyxy, (width, height) * 2, strict=True)
        )
        rows, columns = slice(max(int(y0) - 3, 0), int(y1) + 4), slice(max(int(x0) - 3, 0), int(x1) + 4)
        inked = np.argwhere(dark[rows, columns])
        assert len(inked), line
        corner = np.array((rows.start, columns.start))
        (top, left), (bottom, right) = corner + inked.min(axis=0), corner + inked.max(axis=0) + 1
        far = np.abs(np.subtract((left, top, right, bottom), (x0, y0, x1, y1)))
        assert (far <= within).all(), (line, far)
        left_over[rows, columns] = False
    assert not left_over.any()


def texts(lines: Sequence[Region]) -> list[str | None]:
    return [line.text for line in lines]


# --- where it lies ------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "boxes",
    [
        b"/MediaBox [0 0 300 200]",
        b"/MediaBox [0 0 300 200] /CropBox [10 10 250 190]",
        b"/MediaBox [-40 -30 400 333] /CropBox [0 20 240 180]",
    ],
    ids=["whole", "cropped", "cropped and moved"],
)
def test_every_box_covers_the_ink_of_its_line(opened: Open, boxes: bytes, turn: int) -> None:
    document = opened(one_page(written(*THREE, size=16), boxes + b" /Rotate %d" % turn))
    lines = document.lines(1)
    assert set(texts(lines)) == {"The quick brown fox", "jumps over 12.50 EUR", "j"}
    assert all(line.label == line.text and line.kind == "box" for line in lines)
    assert_boxes_are_on_the_ink(document)


def test_text_of_any_font_and_size_is_covered(opened: Open) -> None:
    """Embedded TrueType, the standard fonts, from small print to a title; accents, not ASCII alone."""
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    file = FPDF(format=(300, 200), unit="pt")
    file.add_font("DejaVu", fname=fonts / "DejaVuSans.ttf")
    file.add_font("Italic", fname=fonts / "DejaVuSerif-Italic.ttf")
    file.add_page()
    file.set_font("DejaVu", size=30)
    file.text(10, 40, "Größe Ålesund")
    file.set_font("Italic", size=6)
    file.text(10, 60, "all prices in €, дом included")
    file.set_font("Times", "B", size=12)
    file.text(10, 90, "Yours sincerely, Q.")
    document = opened(bytes(file.output()))
    assert texts(document.lines(1)) == [
        "Größe Ålesund",
        "all prices in €, дом included",
        "Yours sincerely, Q.",
    ]
    assert_boxes_are_on_the_ink(document)


def test_turned_text_on_an_upright_page_is_covered(opened: Open) -> None:
    content = b"BT /F1 14 Tf 0 1 -1 0 40 20 Tm (height in metres) Tj ET\n" + written((100, 150, "upright"))
    document = opened(one_page(content))
    assert sorted(str(text) for text in texts(document.lines(1))) == ["height in metres", "upright"]
    assert_boxes_are_on_the_ink(document)


def test_text_in_a_form_that_is_scaled_is_covered(opened: Open) -> None:
    head = b"/Type /XObject /Subtype /Form /BBox [0 0 300 200] /Resources << %s >>"
    font = b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    inner = stream(written((20, 30, "inside a stamp")), head % font)
    document = opened(
        one_page(b"1.5 0 0 2 7 9 cm /X Do", resources=b"/XObject << /X 5 0 R >>", more={5: inner})
    )
    assert texts(document.lines(1)) == ["inside a stamp"]
    assert_boxes_are_on_the_ink(document)


def test_text_outside_the_page_is_left_out_and_what_reaches_over_its_edge_is_cut(opened: Open) -> None:
    content = written((20, 500, "above"), (-900, 100, "beside"), (250, 100, "over the edge"))
    lines = opened(one_page(content)).lines(1)
    assert texts(lines) == ["over the edge"] and box_of(lines[0]).x1 == 1.0


# --- lines --------------------------------------------------------------------------------


def test_words_that_stand_beside_each_other_are_one_line(opened: Open) -> None:
    """However the file places them: word by word, letter by letter, in another font, out of order."""
    content = b"""BT /F1 12 Tf 20 160 Td [(Spa) -20 (ced) -300 (out)] TJ ET
        BT /F1 12 Tf 20 130 Td (Total) Tj /F1 16 Tf 3 0 Td 30 0 Td (due) Tj ET
        BT /F1 12 Tf 57 100 Td (second) Tj ET BT /F1 12 Tf 20 100 Td (first,) Tj ET
        BT /F1 12 Tf 20 70 Td (J) Tj 7 0 Td (o) Tj 7 0 Td (b) Tj ET"""
    document = opened(one_page(content))
    assert texts(document.lines(1)) == ["Spaced out", "Total due", "first, second", "Job"]
    assert_boxes_are_on_the_ink(document)


def test_columns_and_cells_are_lines_of_their_own(opened: Open) -> None:
    content = written(
        (20, 160, "left one"), (170, 160, "right one"), (20, 140, "left two"), (170, 140, "right two"),
        (20, 100, "Widget"), (150, 100, "2"), (250, 100, "12.50"), size=11,
    )  # fmt: skip
    document = opened(one_page(content))
    assert set(texts(document.lines(1))) == {
        "left one", "right one", "left two", "right two", "Widget", "2", "12.50",
    }  # fmt: skip
    assert_boxes_are_on_the_ink(document)


def test_a_paragraph_is_as_many_lines_as_are_seen(opened: Open) -> None:
    file = FPDF(format=(300, 300), unit="pt")
    file.set_margins(20, 20)
    file.add_page()
    file.set_font("Helvetica", size=10)
    words = "A justified paragraph has wider gaps between its words than one that is set ragged. " * 4
    file.multi_cell(200, 14, words, align="J")
    document = opened(bytes(file.output()))
    lines = document.lines(1)
    assert " ".join(str(text) for text in texts(lines)) == words.strip()
    tops = [box_of(line).y0 for line in lines]
    assert len(lines) > 5 and tops == sorted(tops)
    assert_boxes_are_on_the_ink(document)


def test_letters_that_no_font_explains_are_left_out(opened: Open) -> None:
    """A font whose codes mean nothing to pdfium: nothing is claimed about what stands there."""
    font = (
        b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding "
        b"<< /Type /Encoding /Differences [65 /g1 /g2 /g3] >> >> >>"
    )
    assert opened(one_page(written((20, 100, "ABC")), resources=font)).lines(1) == ()


# --- scans --------------------------------------------------------------------------------


def scan_with(text: bytes, before: bool) -> bytes:
    """A page that is a picture, with another program's reading of it, beneath it or unseen above."""
    paper = Image.new("L", (300, 200), 255)
    ImageDraw.Draw(paper).text((20, 90), "as scanned", fill=0)
    head = (
        b"/Type /XObject /Subtype /Image /Width 300 /Height 200 /BitsPerComponent 8 /ColorSpace /DeviceGray"
    )
    image = b"q 300 0 0 200 0 0 cm /I Do Q\n"
    resources = (
        b"/XObject << /I 5 0 R >> /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"
    )
    content = text + b"\n" + image if before else image + text
    return one_page(content, resources=resources, more={5: stream(paper.tobytes(), head)})


def test_a_scan_has_no_text_of_its_own(opened: Open) -> None:
    seen = written((20, 100, "as read"))
    unseen = written((20, 100, "as read"), mode=3)
    assert opened(scan_with(b"", before=True)).lines(1) == ()
    assert opened(scan_with(unseen, before=False)).lines(1) == ()
    assert opened(scan_with(seen, before=True)).lines(1) == ()


def test_text_over_a_picture_of_the_whole_page_is_text(opened: Open) -> None:
    assert texts(opened(scan_with(written((20, 160, "a stamp")), before=False)).lines(1)) == ["a stamp"]


def test_a_file_of_pictures_alone_has_none(opened: Open) -> None:
    file = BytesIO()
    Image.effect_noise((200, 100), 50).save(file, "PDF")
    assert opened(file.getvalue()).lines(1) == ()


def test_a_plot_has_its_numbers_and_titles(opened: Open) -> None:
    """A real file of matplotlib, with fonts of Type 3 and a turned title."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot(title="Growth of ffi")
    axes.plot([0, 1], [0, 2])
    axes.set_ylabel("height [m]")
    file = BytesIO()
    FigureCanvasPdf(figure).print_pdf(file)
    document = opened(file.getvalue())
    lines = {line.text: box_of(line) for line in document.lines(1)}
    assert {"Growth of ffi", "height [m]", "0.0", "2.0"} <= set(lines)
    upright, turned = lines["Growth of ffi"], lines["height [m]"]
    assert upright.y1 < 0.15 and upright.x1 - upright.x0 > 0.2
    assert turned.x1 < 0.15 and turned.y1 - turned.y0 > 0.2
    dark = ink(document)
    for box in lines.values():
        height, width = dark.shape
        rows = slice(int(box.y0 * height), int(box.y1 * height) + 1)
        assert dark[rows, int(box.x0 * width) : int(box.x1 * width) + 1].any()
