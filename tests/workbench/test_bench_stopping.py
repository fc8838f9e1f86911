"""What a user meets who stops an answer, whose model fails, or who comes back later."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from tests.chat.fake_engine import FakeEngine, Refusal
from tests.sizes import ASKED_PAGES
from tests.workbench.asking import DETECT, OWNER, Make, found
from tests.workbench.conftest import Files
from vlm_app.errors import BadInput, NotFound
from vlm_app.media import documents
from vlm_app.store import Store
from vlm_app.types import Answer, Box, Delta, Finish, Picture, Region, Request, Task
from vlm_app.workbench import answering
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Mark, Question

# --- stopping and failing ---------------------------------------------------------------


def test_stopping_keeps_what_was_found_and_asks_no_further_page(
    bench: Bench, document: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, document(3))
    stop = Event()
    steps = bench.ask(OWNER, sheet.id, ["p1", "p2", "p3"], DETECT, stop)
    for step in steps:
        if step.answer.text.endswith("Page 2: a red circle"):
            stop.set()
    finding = step.finding
    assert finding is not None
    assert finding.answer.finish is Finish.CANCELLED
    assert finding.text == "Page 1: a red circle on white\n\nPage 2: a red circle"
    assert finding.pages == ("p1", "p2")
    assert "2 of 3 pages" in finding.note
    assert len(engine.requests) == engine.closed == 2


def test_stopping_between_two_pages_counts_as_stopped(bench: Bench, document: Make) -> None:
    sheet = bench.open(OWNER, document(2))
    stop = Event()
    for step in bench.ask(OWNER, sheet.id, ["p1", "p2"], DETECT, stop):
        if step.answer.text.endswith("white"):
            stop.set()
    assert step.finding is not None
    assert step.finding.answer.finish is Finish.CANCELLED
    assert step.finding.pages == ("p1",)


def test_leaving_ends_the_model_and_keeps_what_was_found(
    bench: Bench, images: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, images("red"))
    steps = bench.ask(OWNER, sheet.id, ["i0"], DETECT)
    shown: tuple[Mark, ...] = ()
    for step in steps:
        shown = step.marks
        if step.answer.text == "a red circle":
            break
    steps.close()
    assert engine.closed == 1
    (finding,) = bench.findings(OWNER, sheet.id)
    assert (finding.text, finding.answer.finish) == ("a red circle", Finish.CANCELLED)
    assert finding.marks == shown != ()


def test_a_failure_half_way_keeps_the_pages_before_it(
    bench: Bench, document: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, document(3))
    steps = bench.ask(OWNER, sheet.id, ["p1", "p2", "p3"], DETECT)
    for step in steps:
        if step.answer.text.endswith("white"):
            engine.fails = {2: Refusal("The memory is full: choose a smaller model.")}
    finding = step.finding
    assert finding is not None
    assert finding.answer.finish is Finish.FAILED
    assert finding.answer.error == "The memory is full: choose a smaller model."
    assert finding.text == "Page 1: a red circle on white\n\nPage 2: a red circle"
    assert [mark.region.image for mark in finding.marks] == [0, 1]


def test_a_refusal_is_kept_with_its_sentence(bench: Bench, images: Make, engine: FakeEngine) -> None:
    engine.refuses = Refusal("It does not fit: choose a smaller model.")
    sheet = bench.open(OWNER, images("red"))
    finding = found(bench.ask(OWNER, sheet.id, ["i0"], DETECT))
    assert (finding.answer.finish, finding.answer.error) == (
        Finish.FAILED,
        "It does not fit: choose a smaller model.",
    )


def test_a_mistake_of_the_app_is_logged_and_shown_as_one_line(
    bench: Bench, images: Make, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.fails = {1: RuntimeError("secret detail")}
    sheet = bench.open(OWNER, images("red"))
    finding = found(bench.ask(OWNER, sheet.id, ["i0"], DETECT))
    assert finding.answer.error.startswith("The app made a mistake (logged as ")
    assert "secret" not in finding.answer.error
    assert finding.text == "a "
    assert "secret detail" in caplog.text


def test_a_model_that_ends_without_an_answer_has_failed(bench: Bench, images: Make) -> None:
    class Silent(FakeEngine):
        def _write(self, request: Request, stop: Event) -> Iterator[Delta]:
            yield Delta("half")

    bench._engine = Silent()
    sheet = bench.open(OWNER, images("red"))
    finding = found(bench.ask(OWNER, sheet.id, ["i0"], DETECT))
    assert (finding.text, finding.answer.finish) == ("half", Finish.FAILED)


def test_a_page_that_cannot_be_rendered_is_named_and_nothing_is_lost(
    bench: Bench, document: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = bench.open(OWNER, document(3))
    real = documents.Document.picture

    def broken(self: documents.Document, number: int, dpi: float = 144) -> Picture:
        if number == 2:
            raise BadInput("Page 2 of “report.pdf” is broken: leave it out.")
        return real(self, number, dpi)

    monkeypatch.setattr(documents.Document, "picture", broken)
    finding = found(bench.ask(OWNER, sheet.id, ["p1", "p2", "p3"], DETECT))
    assert finding.answer.error == "Page 2 of “report.pdf” is broken: leave it out."
    assert finding.text.startswith("Page 1: a red circle on white")
    assert bench.result(OWNER, finding.id).regions == finding.regions


def test_a_sheet_that_is_deleted_meanwhile_leaves_nothing(
    bench: Bench, images: Make, engine: FakeEngine, store: Store
) -> None:
    sheet = bench.open(OWNER, images("red"))
    steps = bench.ask(OWNER, sheet.id, ["i0"], DETECT)
    next(steps)
    bench.delete(OWNER, sheet.id)
    with pytest.raises(NotFound):
        list(steps)
    assert [path for path in (store.data / "images").rglob("*") if path.is_file()] == []
    again = bench.open(OWNER, images("red"))
    leaving = bench.ask(OWNER, again.id, ["i0"], DETECT)
    next(leaving)
    next(leaving)
    bench.delete(OWNER, again.id)
    leaving.close()  # nobody is left who could be told


# --- what lasts -------------------------------------------------------------------------


def test_a_finding_has_its_images_when_cache_and_document_are_gone(
    bench: Bench, document: Make, store: Store, engine: FakeEngine
) -> None:
    import shutil

    sheet = bench.open(OWNER, document(2))
    finding = found(bench.ask(OWNER, sheet.id, ["p2"], DETECT))
    shutil.rmtree(store.data / "cache", ignore_errors=True)
    shutil.rmtree(store.data / "files")
    reopened = Bench(Store(store.data), engine, bench._find)
    result = reopened.result(OWNER, finding.id)
    (image,) = result.images
    assert (image.name, image.size) == ("report-p2.png", (600, 400))
    assert image.opened().getpixel((1, 1)) == (255, 255, 255)
    assert result.regions == finding.regions
    assert (result.text, result.model, result.task, result.query) == (
        finding.text,
        "able",
        "detect",
        "circle",
    )
    assert reopened.findings(OWNER, sheet.id) == (finding,)
    reopened._store.close()


def test_frames_that_findings_are_about_stay_when_a_video_is_sampled_again(bench: Bench, film: Files) -> None:
    sheet = bench.sample(OWNER, bench.open(OWNER, film).id, count=2)
    finding = found(bench.ask(OWNER, sheet.id, [sheet.pages[0].key], DETECT))
    again = bench.sample(OWNER, sheet.id, count=3)
    assert finding.pages[0] in [page.key for page in again.pages]
    assert len(again.pages) == 4
    assert bench.result(OWNER, finding.id).images[0].name == "film-2.500s.png"


def test_a_long_document_never_lies_in_memory_at_once(bench: Bench, document: Make) -> None:
    alive: list[weakref.ref[Image.Image]] = []
    most = 0

    class Forgetful(FakeEngine):
        def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]:
            nonlocal most
            alive.extend(weakref.ref(picture.pixels) for picture in request.pictures)
            gc.collect()
            most = max(most, sum(each() is not None for each in alive))
            yield Delta(answer=Answer("a page", task=request.task, model="able"))

    bench._engine = Forgetful()
    sheet = bench.open(OWNER, document(ASKED_PAGES))
    keys = [page.key for page in sheet.pages]
    finding = found(bench.ask(OWNER, sheet.id, keys, Question(Task.OCR, model="able")))
    assert len(finding.pages) == len(alive) == ASKED_PAGES
    assert most <= 3
    alive.clear()
    result = bench.result(OWNER, finding.id)
    for image in result.images:
        pixels = image.opened()
        pixels.load()
        alive.append(weakref.ref(pixels))
    gc.collect()
    assert sum(each() is not None for each in alive) <= 1  # the last one


def test_a_detailed_look_streams_its_tiles_and_notes_what_it_did(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    large = Image.effect_noise((520, 520), 80).convert("RGB")
    large.save(path)
    sheet = bench.open(OWNER, [(path, path.name)])
    steps = list(bench.ask(OWNER, sheet.id, ["i0"], replace(DETECT, detail=True)))
    finding = steps[-1].finding
    assert finding is not None
    assert finding.note.startswith("Detail: ")
    assert steps[-1].done == steps[-1].total > 1
    assert len(finding.marks) == len(finding.answer.regions) >= 1
    assert bench.edit(OWNER, finding.id, marks=finding.marks) == finding


def test_detail_is_refused_where_nothing_is_looked_for(
    bench: Bench, images: Make, engine: FakeEngine
) -> None:
    sheet = bench.open(OWNER, images("red"))
    with pytest.raises(BadInput, match="turn detail off"):
        bench.ask(OWNER, sheet.id, ["i0"], Question(Task.CAPTION, model="able", detail=True))
    assert engine.requests == []


def test_a_long_question_is_saved_on_its_way(
    bench: Bench, document: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SAVE_SECONDS", 0.0)
    sheet = bench.open(OWNER, document(3))
    saved, steps = [], []
    for step in bench.ask(OWNER, sheet.id, ["p1", "p2", "p3"], DETECT):
        steps.append(step)
        saved.append([(each.pages, each.answer.finish) for each in bench.findings(OWNER, sheet.id)])
    assert [(("p1",), Finish.CANCELLED)] in saved  # what a power cut would leave
    assert [(("p1", "p2"), Finish.CANCELLED)] in saved
    whole = steps[-1].finding
    assert whole is not None and bench.findings(OWNER, sheet.id) == (whole,)
    assert (whole.pages, whole.answer.finish) == (("p1", "p2", "p3"), Finish.STOP)


def test_what_was_saved_on_its_way_and_corrected_stays_as_it_was_corrected(
    bench: Bench, document: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SAVE_SECONDS", 0.0)
    sheet = bench.open(OWNER, document(4))
    steps = bench.ask(OWNER, sheet.id, ["p1", "p2", "p3", "p4"], DETECT)
    while not bench.findings(OWNER, sheet.id):
        next(steps)
    [saved] = bench.findings(OWNER, sheet.id)
    corrected = bench.edit(OWNER, saved.id, text="A circle, in truth.")
    whole = found(steps)
    assert bench.findings(OWNER, sheet.id) == (corrected, whole)
    assert whole.pages == ("p1", "p2", "p3", "p4") and not whole.corrected


def test_frames_that_are_taken_off_while_they_are_asked_about_are_put_back(bench: Bench, film: Files) -> None:
    sheet = bench.sample(OWNER, bench.open(OWNER, film).id, count=2)
    steps = bench.ask(OWNER, sheet.id, [page.key for page in sheet.pages], DETECT)
    next(steps)
    bench.sample(OWNER, sheet.id, count=3)
    finding = found(steps)
    keys = [page.key for page in bench.sheet(OWNER, sheet.id).pages]
    assert set(finding.pages) < set(keys)
    assert keys == sorted(keys, key=lambda key: float(key[1:]))
    assert len(bench.result(OWNER, finding.id).images) == 2


def test_a_phrase_beyond_the_text_is_no_phrase(bench: Bench, images: Make, engine: FakeEngine) -> None:
    engine.regions = (Region("circle", Box(0, 0, 1, 1), span=(2, 500)),)
    sheet = bench.open(OWNER, images("red"))
    finding = found(bench.ask(OWNER, sheet.id, ["i0"], DETECT))
    assert finding.marks[0].region.span is None
    assert bench.finding(OWNER, finding.id) == finding


def test_one_question_is_not_about_a_whole_book(bench: Bench, document: Make, engine: FakeEngine) -> None:
    sheet = bench.open(OWNER, document(65))
    with pytest.raises(BadInput, match=r"at most 64 pages together, and 65 are chosen"):
        bench.ask(OWNER, sheet.id, [page.key for page in sheet.pages], Question(Task.CHAT, "What?", "able"))
    assert engine.requests == []
