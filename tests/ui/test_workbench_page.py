"""The tab Workbench without a browser: what is offered, what is shown, what comes back."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ui.fake_engine import FakeEngine
from vlm_app.catalog import catalog
from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Examples, Source
from vlm_app.grounding.formats import FORMATS, exported
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import PERSON, Answer, Box, Finish, Point, Region, Task, Timings
from vlm_app.ui.workbench import choosing, edits, render
from vlm_app.ui.workbench.asking import Chosen
from vlm_app.ui.workbench.comparing import compared, on_page, own_text
from vlm_app.ui.workbench.datasets import Datasets
from vlm_app.ui.workbench.opening import from_file, kind_of
from vlm_app.ui.workbench.ready_buttons import buttons
from vlm_app.ui.workbench.telling import finding_data, told
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding, Kind, Mark, Page, Question, Sheet

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)>"
PAGES = (Page("p1", "Page 1", (100, 200), 1), Page("p2", "Page 2", (100, 200), 2))
SHEET = Sheet("s1", "me", "paper.pdf", Kind.DOCUMENT, PAGES, NOW)
CAT = Mark("m1", Region("cat", Box(0.1, 0.1, 0.5, 0.5), 0, span=(2, 5)), "pebble")
DOG = Mark("m2", Region("dog", Point(0.7, 0.7), 1, score=0.75), "pebble")


def finding(**changes: object) -> Finding:
    answer = Answer(
        "A cat, see page 2.", (CAT.region, DOG.region), task=Task.DETECT, timings=Timings(total=1.2)
    )
    question = Question(Task.DETECT, "cats", "pebble")
    whole = Finding("f1", "me", "s1", ("p1", "p2"), question, answer, (CAT, DOG), answer.text, NOW, NOW)
    return replace(whole, **changes)


def around(**sides: str) -> render.Around:
    return render.Around(SHEET, catalog(), sides)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Store(tmp_path), FakeEngine())


def opened(bench: Bench) -> Sheet:
    path = settings().assets / "examples" / "shapes.png"
    return bench.open("me", [(path, path.name)])


def asked(bench: Bench, task: Task = Task.DETECT) -> Finding:
    sheet = opened(bench)
    *_, last = bench.ask("me", sheet.id, [sheet.pages[0].key], Question(task, "", "pebble"))
    assert last.finding is not None
    return last.finding


# --- who is asked -----------------------------------------------------------------------


def test_only_what_the_chosen_model_can_do_is_offered() -> None:
    rows = catalog()
    pebble = {value for _, value in choosing.tasks(rows, "pebble", "pebble")}
    assert "segment" not in pebble
    assert {"detect", "describe_region", "chat", "caption"} <= pebble
    florence = {value for _, value in choosing.tasks(rows, "florence-2-base", "pebble")}
    assert "chat" not in florence
    assert choosing.DETAILED not in florence
    assert "SmolVLM2 500M" not in {name for name, _ in choosing.second(rows, Task.DETECT)}


def test_reading_goes_to_who_knows_real_pages_unless_somebody_was_chosen() -> None:
    engine, rows = FakeEngine(), catalog()
    read = choosing.answering(engine, rows, "", "pebble", Task.OCR)
    assert read == "rapidocr"
    assert choosing.answering(engine, rows, "", "pebble", Task.DETECT) == "pebble"
    assert choosing.answering(engine, rows, "pebble", "pebble", Task.OCR) == "pebble"


def test_press_becomes_a_question() -> None:
    engine, chosen = FakeEngine(), Chosen("", "-", "detect", " red circle ", True, "pebble")
    made = chosen.question(engine, {"act": "run"})
    assert (made.task, made.query, made.model, made.detail) == (Task.DETECT, "red circle", "pebble", True)
    read = replace(chosen, choice="ocr").question(engine, {"act": "run"})
    assert (read.model, read.query, read.detail) == ("rapidocr", "", False)
    part = chosen.question(engine, {"act": "describe", "region": [0.1, 0.2, 0.3, 0.4]})
    assert (part.task, part.region) == (Task.DESCRIBE_REGION, Box(0.1, 0.2, 0.3, 0.4))
    ready = chosen.question(engine, {"act": "ready", "name": "alt_text"})
    assert ready.model == "pebble"
    for bad in ({"act": "describe", "region": "x"}, {"act": "ready", "name": "no such"}):
        with pytest.raises(BadInput):
            chosen.question(engine, bad)


def test_ready_questions_say_what_they_are_about() -> None:
    html = buttons(catalog()["smolvlm2-500m"])
    assert "Alt text" in html
    assert 'data-kinds="' in html


# --- what is shown ----------------------------------------------------------------------


def test_finding_names_its_model_its_phrases_and_the_pages_it_leads_to() -> None:
    html = render.answer(finding(), around())
    assert "Pebble" in html
    assert "1.2 s" in html
    assert 'data-r="m1"' in html
    assert 'data-r="page:p2"' in html
    assert "75 %" in html
    assert html.count("/findings/f1/export.") == len(FORMATS)


def test_nothing_that_a_model_or_a_file_says_becomes_markup() -> None:
    region = Region(EVIL, Box(0, 0, 1, 1), text=EVIL)
    hostile = finding(
        text=EVIL, marks=(Mark("m1", region, "pebble"),), question=Question(Task.CHAT, EVIL, EVIL)
    )
    sheet = replace(SHEET, name=EVIL, note=EVIL)
    html = render.answer(
        hostile, render.Around(sheet, catalog(), {}), beside=render.opinion(hostile, around(), 0)
    )
    html += render.history([hostile], "", catalog(), NOW) + render.name(sheet, [sheet])
    assert "<img" not in html
    assert "&lt;img" in html


def test_how_an_answer_ended_is_said() -> None:
    failed = finding(answer=replace(finding().answer, finish=Finish.FAILED, error="No <memory>."))
    assert "No &lt;memory&gt;." in render.answer(failed, around())
    stopped = finding(answer=replace(finding().answer, finish=Finish.CANCELLED))
    assert "Stopped." in render.answer(stopped, around())
    assert "Nothing was found." in render.answer(finding(text="", marks=()), around())


def test_crowd_of_regions_is_listed_up_to_a_number() -> None:
    many = tuple(Mark(f"m{number}", CAT.region, "pebble") for number in range(render.MOST_LISTED + 5))
    html = render.regions(finding(marks=many), around())
    assert html.count("<li") == render.MOST_LISTED
    assert "5 more" in html


def test_browser_gets_each_region_with_its_page_and_colour() -> None:
    data = finding_data(finding(), {"m1": "agreed"})
    assert [(each["key"], each["page"]) for each in data["regions"]] == [("m1", "p1"), ("m2", "p2")]
    assert data["regions"][0]["mark"] == "agreed"
    assert data["regions"][0]["box"] == [0.1, 0.1, 0.5, 0.5]
    assert told(a=1) != told(a=1)
    assert json.loads(told(a=1))["a"] == 1


# --- two of them ------------------------------------------------------------------------


def test_two_readings_mark_the_words_that_differ() -> None:
    lines = (Region("text", Box(0.1, 0.1, 0.9, 0.2), text="Total 13.50"),)
    own = own_text("me", "s1", "p1", lines)
    read = replace(own, id="f1", text="Total 18.50", marks=(replace(own.marks[0], id="m1"),))
    wrong = replace(read.marks[0].region, text="Total 18.50")
    read = replace(read, marks=(replace(read.marks[0], region=wrong),))
    both = compared(read, own)
    assert both is not None
    assert [read.text[start:end] for start, end in both.words] == ["18.50"]
    assert both.first == {"m1": "differs"}
    html = render.answer(read, render.Around(SHEET, catalog(), both.first, both.words))
    assert 'data-r="m1 differs"' in html
    assert compared(read, None) is None


def test_readings_with_another_sign_between_the_same_words_do_not_differ() -> None:
    def read(text: str, *words: str) -> Finding:
        spans = [(text.index(word), text.index(word) + len(word)) for word in words]
        places = [Box(0.1, 0.1, 0.2, 0.2), Box(0.1, 0.5, 0.2, 0.6)]
        marks = [
            Mark(word, Region(word, box, text=word, span=span))
            for word, box, span in zip(words, places, spans, strict=True)
        ]
        return finding(question=Question(Task.OCR_REGIONS), text=text, marks=tuple(marks), pages=("p1",))

    both = compared(read("OPEN, COLD", "OPEN", "COLD"), read("OPEN\n\nCOLD", "OPEN", "COLD"))
    assert both is not None and both.words == () and set(both.first.values()) == {"agreed"}


def test_the_card_of_a_region_names_its_maker_as_people_do() -> None:
    assert {region["maker"] for region in finding_data(finding())["regions"]} == {"Pebble"}


def test_an_answer_without_a_word_says_that_nothing_was_found() -> None:
    html = render.answer(finding(text=".", marks=()), around())
    assert "Nothing was found." in html


def test_a_drawn_part_is_named_without_its_coordinates() -> None:
    question = Question(Task.DESCRIBE_REGION, "0.18, 0.006, 0.36, 0.26", "pebble")
    assert render.asked(finding(question=question)) == "Describe a part"


def test_what_was_asked_of_a_video_is_counted_in_frames() -> None:
    assert "2 frames" in render.history([finding()], "", catalog(), NOW, Kind.VIDEO)


def test_one_page_of_a_long_reading_is_compared_alone() -> None:
    only = on_page(finding(), "p2")
    assert only.pages == ("p2",)
    assert [each.id for each in only.marks] == ["m2"]
    assert only.marks[0].region.image == 0
    assert only.text == "dog"


# --- changes ----------------------------------------------------------------------------


def test_changes_of_one_page_leave_the_others_and_keep_who_made_what() -> None:
    moved = {"key": "m1", "label": "cat", "kind": "box", "box": [0.2, 0.2, 0.6, 0.6], "maker": "evil"}
    new = {"key": "new-1", "label": "hat", "kind": "point", "point": [0.5, 0.5]}
    marks = edits.changed(finding(), "p1", [moved, new])
    assert [mark.id for mark in marks] == ["m1", "m2", "new-1"]
    assert [mark.maker for mark in marks] == ["pebble", "pebble", PERSON]
    assert marks[0].region.shape == Box(0.2, 0.2, 0.6, 0.6)
    assert marks[0].region.span == (2, 5)
    assert [mark.id for mark in edits.changed(finding(), "p1", [])] == ["m2"]


def test_changes_that_cannot_be_read_are_refused() -> None:
    for page, regions in (("p9", []), ("p1", "x"), ("p1", ["x"]), ("p1", [{"key": "a", "kind": "box"}])):
        with pytest.raises(BadInput):
            edits.changed(finding(), page, regions)


# --- to and from files and datasets -----------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "coco", "label-studio"])
def test_file_of_regions_comes_back_to_the_page_it_is_about(bench: Bench, tmp_path: Path, kind: str) -> None:
    before = asked(bench)
    path = tmp_path / f"regions{FORMATS[kind].suffix}"
    path.write_bytes(exported(bench.result("me", before.id), kind))
    assert kind_of(path.read_bytes(), path.name) == kind
    after, left_out = from_file(bench, "me", before.sheet, path)
    assert left_out == []
    assert after.sheet == before.sheet
    assert [each.label for each in after.regions] == [each.label for each in before.regions]
    assert all(mark.maker == PERSON for mark in after.marks)


def test_file_about_other_pictures_is_refused(bench: Bench, tmp_path: Path) -> None:
    sheet, path = opened(bench), tmp_path / "regions.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(BadInput):
        from_file(bench, "me", sheet.id, path)


def test_corrected_finding_becomes_an_example_with_what_was_wrong(bench: Bench, tmp_path: Path) -> None:
    found = asked(bench)
    right = replace(found.marks[0], region=replace(found.marks[0].region, label="crimson disc"))
    corrected = bench.edit("me", found.id, marks=(right, *found.marks[1:]))
    store = Store(tmp_path / "examples")
    assert "Added to 'My corrections'" in _unescaped(Datasets(store, bench).add("me", corrected.id))
    assert "already" in Datasets(store, bench).add("me", corrected.id)
    kept = Examples(store)
    [dataset] = kept.datasets("me")
    [example] = kept.examples("me", dataset.id)
    assert (example.source, example.maker) == (Source.EDIT, PERSON)
    assert example.regions[0].label == "crimson disc"
    assert example.rejected is not None
    assert example.rejected.regions[0].label == "red circle"


def test_question_about_two_pictures_is_one_example_and_what_was_found_on_each_another(
    bench: Bench, tmp_path: Path
) -> None:
    folder = settings().assets / "examples"
    sheet = bench.open("me", [(folder / name, name) for name in ("shapes.png", "signs.png")])
    keys = [page.key for page in sheet.pages]
    store = Store(tmp_path / "examples")
    for task, query in ((Task.CHAT, "What differs?"), (Task.DETECT, "")):
        *_, last = bench.ask("me", sheet.id, keys, Question(task, query, "pebble"))
        assert last.finding is not None
        Datasets(store, bench).add("me", last.finding.id)
    kept = Examples(store)
    [dataset] = kept.datasets("me")
    examples = kept.examples("me", dataset.id)
    assert sorted((each.task, len(each.pictures)) for each in examples) == [
        (Task.CHAT, 2),
        (Task.DETECT, 1),
        (Task.DETECT, 1),
    ]


def test_words_about_two_pictures_at_once_are_no_example(bench: Bench, tmp_path: Path) -> None:
    folder = settings().assets / "examples"
    sheet = bench.open("me", [(folder / name, name) for name in ("shapes.png", "signs.png")])
    keys = [page.key for page in sheet.pages]
    *_, last = bench.ask("me", sheet.id, keys, Question(Task.CAPTION, "", "pebble"))
    assert last.finding is not None
    with pytest.raises(BadInput, match="one page at a time"):
        Datasets(Store(tmp_path / "examples"), bench).add("me", last.finding.id)


def test_an_answer_that_broke_off_is_no_example_before_somebody_corrects_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "examples")
    found, stop = asked(bench), threading.Event()
    folder = settings().assets / "examples"
    sheet = bench.open("me", [(folder / name, name) for name in ("shapes.png", "signs.png", "chart.png")])
    keys = [page.key for page in sheet.pages]
    for step in bench.ask("me", sheet.id, keys, Question(Task.DETECT, "", "pebble"), stop):
        if step.done == 1:
            stop.set()
    assert step.finding is not None and step.finding.pages == tuple(keys[:2])
    said = _unescaped(Datasets(store, bench).add("me", step.finding.id))
    assert (
        "Added" in said
        and "The last page that was asked about is left out, as its answer was stopped." in said
    )
    kept = Examples(store)
    [dataset] = kept.datasets("me")
    assert len(kept.examples("me", dataset.id)) == 1

    stop.clear()
    steps = bench.ask("me", sheet.id, keys[:1], Question(Task.DETECT, "", "pebble"), stop)
    next(steps)
    stop.set()
    *_, step = steps
    assert step.finding is not None
    with pytest.raises(BadInput, match="was stopped before its end: correct it first"):
        Datasets(store, bench).add("me", step.finding.id)
    corrected = bench.edit("me", step.finding.id, marks=found.marks[:1])
    assert "Added" in Datasets(store, bench).add("me", corrected.id)


def test_what_nobody_asked_yet_is_no_example(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing to add"):
        Datasets(Store(tmp_path / "examples"), bench).add("me", "")
    with pytest.raises(BadInput, match="name"):
        Datasets(Store(tmp_path / "examples"), bench).create("me", " ")


def _unescaped(html: str) -> str:
    return html.replace("&#x27;", "'")
