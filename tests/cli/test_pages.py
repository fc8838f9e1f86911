"""`vlm-app ask invoice.pdf --pages 1-3`: questions about documents at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import vlm_app.engine
from tests.media.pdf_files import many_pages
from vlm_app.cli import main
from vlm_app.grounding.formats import imported
from vlm_app.types import Answer, Box, Delta, Picture, Region, Request, Task


class Heard:
    """An engine that answers with the colour of the last picture, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def subscribe(self, listener: object) -> Callable[[], None]:
        return lambda: None

    def answer(self, request: Request) -> Iterator[Delta]:
        self.requests.append(request)
        text = f"red is {red(request.pictures[-1])}"
        at = len(request.pictures) - 1
        region = Region("paper", Box(0.1, 0.2, 0.5, 0.6), image=at, span=(0, 3))
        yield Delta(text[:3])
        yield Delta(text[3:])
        yield Delta(answer=Answer(text, (region,), task=request.task, model=request.model))


def red(picture: Picture) -> int:
    colour = picture.pixels.getpixel((9, 9))
    assert isinstance(colour, tuple)
    return round(colour[0] / 10) * 10


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    engine = Heard()
    monkeypatch.setattr(vlm_app.engine, "engine", lambda: engine)
    return engine


@pytest.fixture
def invoice(tmp_path: Path) -> Path:
    """Twelve pages, each redder by ten than the one before."""
    contents = [b"%.4f 0 0 rg 0 0 300 200 re f" % (number / 25.5) for number in range(1, 13)]
    path = tmp_path / "invoice.pdf"
    path.write_bytes(many_pages(contents))
    return path


def test_each_page_stands_behind_its_number_in_a_question(
    heard: Heard, invoice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(invoice), "--pages", "1-2,7", "-q", "What is due?"]) == 0
    (request,) = heard.requests
    parts = request.turns[0].parts
    assert [part if isinstance(part, str) else red(part) for part in parts if part] == [
        "Page 1:", 10, "Page 2:", 20, "Page 7:", 70, "What is due?",
    ]  # fmt: skip
    out = capsys.readouterr().out.splitlines()
    assert out == ["red is 70", "  paper: box [0.1, 0.2, 0.5, 0.6] on page 7"]


def test_pages_of_two_documents_and_an_image_are_told_apart(heard: Heard, invoice: Path) -> None:
    other = invoice.with_name("offer.pdf")
    other.write_bytes(invoice.read_bytes())
    image = invoice.with_name("scene.png")
    Image.new("RGB", (20, 20), (100, 0, 0)).save(image)
    assert main(["ask", str(invoice), str(image), str(other), "--pages", "2", "-q", "Which?"]) == 0
    parts = heard.requests[0].turns[0].parts
    assert [part if isinstance(part, str) else red(part) for part in parts] == [
        "Page 2 of invoice.pdf:", 20, 100, "Page 2 of offer.pdf:", 20, "Which?",
    ]  # fmt: skip


def test_a_task_is_done_page_by_page_and_printed_as_one_answer(
    heard: Heard, invoice: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(invoice), "--task", "detect", "-q", "paper", "--pages", "3,5"]) == 0
    assert [[red(picture) for picture in request.pictures] for request in heard.requests] == [[30], [50]]
    assert all(request.turns[0].text == "" for request in heard.requests)
    assert capsys.readouterr().out.splitlines() == [
        "Page 3: red is 30", "", "Page 5: red is 50",
        "  paper: box [0.1, 0.2, 0.5, 0.6] on page 3",
        "  paper: box [0.1, 0.2, 0.5, 0.6] on page 5",
    ]  # fmt: skip


def test_exports_name_the_pages(heard: Heard, invoice: Path, tmp_path: Path) -> None:
    file, text = tmp_path / "all.json", tmp_path / "all.txt"
    arguments = ["ask", str(invoice), "--task", "detect", "-q", "paper", "--pages", "3,5"]
    assert main([*arguments, "--export", "json", str(file), "--export", "txt", str(text)]) == 0
    result = imported(file.read_bytes(), "json")
    assert [(image.name, image.size) for image in result.images] == [
        ("invoice-page-3.png", (600, 400)),
        ("invoice-page-5.png", (600, 400)),
    ]
    assert [region.image for region in result.regions] == [0, 1]
    assert [result.text[slice(*region.span)] for region in result.regions if region.span] == ["red", "red"]
    assert "Page 5" in text.read_text()


def test_a_drawn_page_is_saved(heard: Heard, invoice: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn.png"
    assert main(["ask", str(invoice), "--pages", "4", "--out", str(out), "-q", "Where?"]) == 0
    with Image.open(out) as drawn:
        assert drawn.size == (600, 400)


def test_json_counts_the_pages(heard: Heard, invoice: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(invoice), "--task", "caption", "--pages", "1-3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [region["image"] for region in answer["regions"]] == [0, 1, 2]
    assert answer["task"] == Task.CAPTION


def test_a_task_may_be_about_more_pages_than_a_question(heard: Heard, invoice: Path) -> None:
    assert main(["ask", str(invoice), "--task", "caption"]) == 0
    assert len(heard.requests) == 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "A question is about at most 8 images, found 12 with the pages: choose some with '--pages'"),
        (("--pages", "1-9"), "found 9 with the pages"),
        (("--pages", "0"), "There is no page 0: the document has pages 1 to 12."),
        (("--pages", "x"), "Pages are written as '1-3,7', found 'x'"),
    ],
)
def test_pages_that_cannot_be_asked_about_are_said_before_a_model_is_asked(
    heard: Heard, invoice: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(invoice), "-q", "What is due?", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.strip().splitlines()) == 1
    assert not heard.requests


def test_pages_without_a_document_are_said(
    heard: Heard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "scene.png")
    assert main(["ask", str(tmp_path / "scene.png"), "--pages", "2", "-q", "What?"]) == 2
    assert "none was given" in capsys.readouterr().err


def test_a_broken_document_is_said(heard: Heard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "torn.pdf").write_bytes(b"%PDF-1.7")
    assert main(["ask", str(tmp_path / "torn.pdf"), "-q", "What?"]) == 2
    assert "“torn.pdf” is damaged or cut off" in capsys.readouterr().err
