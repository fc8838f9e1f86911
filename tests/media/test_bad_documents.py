"""What a user meets who opens a PDF that is bad or hostile: one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission
from PIL import Image

from tests.media.opened_documents import Limits, limits, opened, sentence, slow_shading
from tests.media.pdf_files import FOUR_CORNERS, many_pages, one_page, pdf, stream, written
from tests.sizes import size
from vlm_app.errors import BadInput
from vlm_app.media import documents
from vlm_app.media.documents import Document, is_document, open_document

__all__ = ["limits", "opened"]


# --- bad files --------------------------------------------------------------------------


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


# --- hostile files ----------------------------------------------------------------------


def form(content: bytes, inner: int) -> bytes:
    head = b"/Type /XObject /Subtype /Form /BBox [0 0 300 300] /Resources << /XObject << /X %d 0 R >> >>"
    return stream(content, head % inner)


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
    hostile = HOSTILE[kind]()
    limits(decode_seconds=1)
    started = time.monotonic()
    try:
        document = opened(hostile)
    except BadInput as error:  # on a busy machine it may have taken a second
        assert error.sentence.startswith("“invoice.pdf” takes longer than 1 s to open")
        acts = []
    else:
        acts = [document.picture, document.lines]
    for act in acts:
        try:
            act(1)
        except BadInput as error:
            assert error.sentence.startswith("Page 1 of “invoice.pdf” ") and error.sentence.endswith(".")
    assert time.monotonic() - started < size(60, 12)
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
