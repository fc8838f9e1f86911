"""An engine that comes with a package is a model like others: leased, counted, unloaded, stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from PIL import Image

from tests.ocr.printed import LINES, printed
from tests.sizes import OCR_MEMORY
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LocalBackend, reader
from vlm_app.engine import packages as known
from vlm_app.engine.devices import Device
from vlm_app.engine.events import Event, Unloaded
from vlm_app.errors import BadInput, GenerationFailed, ModelUnavailable
from vlm_app.media import picture_from
from vlm_app.ocr.reader import Read, Reader
from vlm_app.types import Answer, Checkpoint, Finish, Part, Request, Role, Runs, Task, Turn

ROW = catalog()["rapidocr"]
TEXT = "\n".join(LINES)


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def models() -> Iterator[Engine]:
    models = Engine({"rapidocr": ROW}, LocalBackend())
    yield models
    models.close()
    assert models.leases == {}


def request(*images: Image.Image, task: Task = Task.OCR_REGIONS, before: tuple[Turn, ...] = ()) -> Request:
    parts: tuple[Part, ...] = tuple(picture_from(image) for image in images)
    return Request((*before, Turn(Role.USER, parts)), "rapidocr", task)


def last(models: Engine, asked: Request) -> Answer:
    return [delta.answer for delta in models.answer(asked) if delta.answer][-1]


def test_it_answers_is_shown_among_the_loaded_models_and_leaves(models: Engine) -> None:
    answer = last(models, request(printed()))
    assert answer.text.replace("\n\n", "\n") == TEXT and answer.finish is Finish.STOP
    assert [answer.text[slice(*region.span or ())] for region in answer.regions] == list(LINES)
    assert answer.precision == "fp32" and answer.timings.total > 0 and answer.seen.note == ""
    (state,) = models.models()
    assert state.status == "ready" and state.device == "cpu" and state.bytes == known.LOADED
    models.unload("rapidocr")
    wait_for(lambda: not models.models())


def test_reading_without_places_has_no_regions_and_says_what_was_done_to_the_page(models: Engine) -> None:
    answer = last(models, request(printed().rotate(180), task=Task.OCR))
    assert answer.text.replace("\n\n", "\n") == TEXT and answer.regions == ()
    assert answer.seen.note == "The page was turned by 180° before it was read."


def test_all_images_of_the_last_message_are_read_one_after_the_other(models: Engine) -> None:
    before = (Turn(Role.USER, (picture_from(printed(("Earlier",))), "x")), Turn(Role.ASSISTANT, ("y",)))
    pages = printed(("Page one",), high=90), printed(("Page two",), high=90).rotate(180)
    deltas = list(models.answer(request(*pages, before=before)))
    answer = deltas[-1].answer
    assert answer is not None and answer.text == "Page one\n\nPage two"
    assert [(region.text, region.image) for region in answer.regions] == [("Page one", 1), ("Page two", 2)]
    assert answer.seen.note == "Image 3: The page was turned by 180° before it was read."
    assert "".join(delta.text for delta in deltas) == answer.text
    assert tuple(region for delta in deltas for region in delta.regions) == answer.regions


def test_it_is_unloaded_when_nobody_uses_it() -> None:
    models = Engine({"rapidocr": ROW}, LocalBackend(), idle_seconds=0.2)
    told: list[Event] = []
    models.subscribe(told.append)
    models.warm("rapidocr")
    wait_for(lambda: Unloaded("rapidocr", known.LOADED, "idle") in told)
    assert not models.models()
    models.close()


def test_what_it_cannot_do_is_refused_before_it_loads(models: Engine) -> None:
    with pytest.raises(ModelUnavailable, match="cannot do 'chat'"):
        list(models.answer(request(printed(), task=Task.CHAT)))
    with pytest.raises(BadInput, match="there is none: add an image"):
        list(models.answer(request()))
    assert models.models() == ()


# --- memory -------------------------------------------------------------------------------


def test_its_memory_is_estimated_and_a_small_computer_is_told_the_numbers() -> None:
    models = Engine({"rapidocr": ROW}, LocalBackend(), limit=500_000_000)
    fit = models.fit("rapidocr")
    assert fit is not None and not fit.fits and fit.words == "needs 860 MB in fp32, and 500 MB are free"
    assert models.fit("rapidocr", "nf4") is None  # its networks come in one precision
    with pytest.raises(
        ModelUnavailable, match=r"RapidOCR needs 860 MB of memory and 500 MB can be had on .+: "
    ):
        list(models.answer(request(printed())))
    models.close()


def test_beside_a_gpu_it_takes_nothing_of_the_gpus_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, host = Device("cuda:0", "GPU", 10**10, 10**9), Device("cpu", "CPU", 10**10, 4 * 10**9)
    monkeypatch.setattr(known, "devices", lambda: (gpu, host))
    plan = known.plan(ROW, 0, known.Watch())
    assert plan.bytes == 0 and plan.device == "cpu" and dict(plan.places) == {"": "cpu"}
    fit = known.fit("auto", gpu.free)
    assert fit is not None and fit.free == host.free
    monkeypatch.setattr(known, "devices", lambda: (gpu, replace(host, free=10**8)))
    with pytest.raises(ModelUnavailable, match="100 MB can be had on CPU"):
        known.plan(ROW, 10**10, known.Watch())


@pytest.mark.skipif(not OCR_MEMORY, reason="two large pages are read for it")
def test_reading_takes_no_more_memory_than_estimated() -> None:
    code = (
        "import json; from benchmarks import ocr; from vlm_app.engine import Engine, LocalBackend;"
        "from vlm_app.catalog import catalog; models = Engine(catalog(), LocalBackend());"
        "print(json.dumps(ocr.memory(models))); models.close()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    taken = json.loads(run.stdout)
    assert taken["loaded MB"] * 1e6 <= known.LOADED
    assert 0.3 * known.READING <= taken["24 megapixels MB"] * 1e6 <= known.READING


# --- faults -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (ValueError("odd"), "RapidOCR failed inside while it read: ask another model."),
        (MemoryError(), "RapidOCR ran out of memory while it read: unload other models"),
    ],
)
def test_a_fault_is_a_sentence_and_the_next_page_is_read(
    models: Engine, monkeypatch: pytest.MonkeyPatch, fault: Exception, sentence: str
) -> None:
    def broken(self: Reader, *arguments: object) -> Read:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(Reader, "read", broken)
        answers = []
        with pytest.raises(GenerationFailed, match=sentence):
            answers += [delta.answer for delta in models.answer(request(printed())) if delta.answer]
    assert last(models, request(printed())).finish is Finish.STOP


def test_stopping_and_leaving_end_the_reading_and_free_the_engine(
    models: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(self: Reader, picture: object, stop: threading.Event) -> Read:
        begun.set()
        assert stop.wait(60)
        ended.set()
        return Read((), (9, 9), ())

    monkeypatch.setattr(Reader, "read", slow)
    stop = threading.Event()
    answer = None
    for delta in models.answer(request(printed()), stop):
        answer = delta.answer or answer
        if begun.is_set():
            stop.set()
    assert answer is not None and answer.finish is Finish.CANCELLED
    assert ended.is_set()
    begun.clear()
    ended.clear()
    leaving = models.answer(request(printed()))
    while not begun.is_set():
        next(leaving)
    leaving.close()
    assert ended.wait(60)
    wait_for(lambda: models.leases == {})


# --- who reads ----------------------------------------------------------------------------


def row(id: str, *tasks: Task, family: str = "qwen2_5_vl", runs: Runs = Runs.IN_PROCESS) -> Checkpoint:
    return Checkpoint(id, id, family, f"some/{id}", frozenset(tasks), runs=runs)


def test_a_loaded_model_that_reads_goes_before_the_package_and_the_toy_never_reads() -> None:
    rows = {
        each.id: each
        for each in (
            row("pebble", Task.OCR, Task.CHAT, family="pebble"),
            row("chats", Task.OCR, Task.CHAT),
            row("blind", Task.CHAT),
            row("reads", Task.OCR),
            row("package", Task.OCR, runs=Runs.PACKAGE),
        )
    }
    assert reader(Task.OCR, rows, ()) == "package"
    assert reader(Task.OCR, rows, ("pebble", "blind")) == "package"
    assert reader(Task.OCR, rows, ("pebble", "chats")) == "chats"
    assert reader(Task.OCR, rows, ("chats", "reads", "package")) == "reads"
    assert reader(Task.OCR_REGIONS, rows, ("reads",)) == ""
