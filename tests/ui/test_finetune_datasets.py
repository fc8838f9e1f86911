"""The place of datasets without a browser: what comes in, what is shown, and to whom."""

from __future__ import annotations

import errno
import io
import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.finetune.runs import example
from tests.ui.fake_engine import FakeEngine
from tests.ui.test_page import in_a_loop
from vlm_app.catalog import catalog
from vlm_app.errors import AppError, BadInput, NotFound
from vlm_app.finetune import arrival as arriving
from vlm_app.finetune.arrival import ENDED, Arrival, Stage
from vlm_app.finetune.examples import Example, Reply, Source
from vlm_app.finetune.overview import Overviews
from vlm_app.finetune.preview import Preview
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.uploads.workroom import workrooms
from vlm_app.finetune.workshop import Workshop
from vlm_app.media import picture_from
from vlm_app.pebble import shapes
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import Task
from vlm_app.ui.finetune.datasets import lesson, render
from vlm_app.ui.finetune.datasets.acts import Acts, Press
from vlm_app.ui.finetune.datasets.incoming import incoming
from vlm_app.ui.finetune.datasets.part import DatasetsPart
from vlm_app.ui.finetune.datasets.render import Filter
from vlm_app.ui.finetune.datasets.words import when
from vlm_app.ui.welcome import EXAMPLES as WELCOME

EVIL = "<img src=x onerror=alert(1)>"
PATIENCE = 60.0  # seconds


class Tab:
    """The place as one visitor sees it: what is pressed, and the HTML that comes."""

    def __init__(self, workshop: Workshop, owner: str = "me", part: DatasetsPart | None = None) -> None:
        self.workshop = workshop
        self.owner = owner
        self.part = part or _part()
        self.acts = Acts(self.part, workshop)

    def press(self, act: str, **more: object) -> dict[str, str]:
        updates = self.acts.do(Press(self.owner, {"act": act, **more}))
        return self._named(updates)

    def teach(self, **more: object) -> str:
        return self._named(self.acts.teach(Press(self.owner, more)))["taught"]

    def _named(self, updates: dict[object, str]) -> dict[str, str]:
        names = {part: name for name, part in vars(self.part).items()}
        return {names[component]: html for component, html in updates.items()}

    def look_at_all(self) -> None:
        """Waits until the datasets were looked at: a busy machine takes its time."""
        usual = RunConfig()
        for each in self.workshop.examples.datasets(self.owner):
            self.workshop.overviews.of(each, usual.held_out, usual.seed, PATIENCE)

    def other(self, owner: str) -> Tab:
        return Tab(self.workshop, owner, self.part)

    def arrived(self, *stages: Stage) -> Arrival:
        """What is on the way, once it is so far."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            now = self.workshop.arrivals.of(self.owner)
            if now and now.stage in (stages or (*ENDED, Stage.ASKING)):
                return now
            time.sleep(0.02)
        raise AssertionError(f"still {now}")

    def upload(self, name: str, *files: tuple[str, bytes], into: str = "") -> Arrival:
        """Files come, piece by piece, and are checked."""
        arrivals = self.workshop.arrivals
        begun = arrivals.begin(self.owner, name, into, sum(len(data) for _, data in files))
        for each, data in files:
            receiving = arrivals.file(self.owner, begun.id, each)
            for start in range(0, len(data), 1000):
                receiving.write(data[start : start + 1000])
            receiving.close()
        arrivals.came(self.owner, begun.id)
        return self.arrived()


@cache
def _part() -> DatasetsPart:
    """Its components: they hold nothing of anybody."""
    return in_a_loop(_built)


def _built() -> DatasetsPart:
    import gradio as gr

    with gr.Blocks():
        return DatasetsPart.build()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    workshop = Workshop(Store(settings().data), FakeEngine())
    yield Tab(workshop)
    workshop.close()


def picture(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(file, "PNG")
    return file.getvalue()


def zipped(*rows: dict[str, str], **pictures: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, colour in pictures.items():
            archive.writestr(f"{name}.png", picture(colour))
        archive.writestr("train.jsonl", "\n".join(json.dumps(row) for row in rows))
    return file.getvalue()


def row(image: str, answer: str = "A square.") -> dict[str, str]:
    return {"image": image, "prefix": "What is it?", "suffix": answer}


MIXED = (row("a.png"), row("missing.png"), row("b.png"), row("a.png", ""))


# --- the first minute -------------------------------------------------------------------------


def test_first_user_gets_forty_hearts_that_pebble_has_never_seen(tab: Tab) -> None:
    tab.press("hearts")
    assert tab.arrived().stage is Stage.DONE
    tab.look_at_all()
    shown = tab.press("look")
    assert "40 examples" in shown["list"]
    assert shown["gallery"].count("lesson-card") == 24
    assert "1–24 of 40" in shown["gallery"]
    assert "8 of 40 examples are held out" in shown["dataset"]
    assert "heart" not in shapes.SHAPES
    assert (settings().assets / "examples" / "hearts.zip").stat().st_size < 1_000_000
    assert "hearts" not in WELCOME  # the first screen asks Pebble what it knows


def test_nothing_is_there_at_first(tab: Tab) -> None:
    shown = tab.press("look")
    assert shown["list"] == shown["dataset"] == shown["gallery"] == ""
    assert json.loads(shown["told"])["datasets"] == 0


# --- what comes in ----------------------------------------------------------------------------


def test_bad_rows_are_named_and_nothing_is_kept_until_somebody_says_so(tab: Tab) -> None:
    asking = tab.upload("mine.zip", ("mine.zip", zipped(*MIXED, a="red", b="blue")))
    assert asking.stage is Stage.ASKING
    assert tab.workshop.examples.datasets("me") == ()
    html = tab.press("progress")["arrival"]
    for said in ("train.jsonl", "<td>2</td>", "missing.png", "<td>4</td>", "empty", "Add the 2 good ones"):
        assert said in html
    tab.press("add", arrival=asking.id)
    done = tab.arrived(*ENDED)
    assert (done.report.added, done.report.left_out) == (2, 2)
    assert "2 rows left out" in tab.press("look", dataset=done.dataset)["arrival"]
    assert [each.name for each in tab.workshop.examples.datasets("me")] == ["mine"]
    tab.press("dismiss", arrival=asking.id)
    assert tab.press("look")["arrival"] == ""


def test_all_can_be_refused(tab: Tab) -> None:
    asking = tab.upload("mine.zip", ("mine.zip", zipped(*MIXED, a="red", b="blue")))
    assert tab.press("stop", arrival=asking.id)["arrival"] == ""
    assert tab.workshop.examples.datasets("me") == ()
    assert not [each for each in workrooms().iterdir() if each.is_dir()]


def test_good_dataset_is_added_without_a_question_and_the_same_again_adds_nothing(tab: Tab) -> None:
    good = zipped(row("a.png"), a="red")
    first = tab.upload("good.zip", ("good.zip", good))
    assert (first.stage, first.report.added) == (Stage.DONE, 1)
    again = tab.upload("good.zip", ("good.zip", good), into=first.dataset)
    assert (again.report.added, again.report.again) == (0, 1)
    assert "Nothing new was added" in incoming(again, "good")
    beside = tab.upload("good.zip", ("good.zip", good))
    names = {each.name for each in tab.workshop.examples.datasets("me")}
    assert names == {"good", "good 2"}
    assert beside.dataset != first.dataset


def test_table_and_its_pictures_can_come_side_by_side(tab: Tab) -> None:
    table = b"image,task,query,answer\na.png,chat,What is it?,A square.\n"
    done = tab.upload("2 files", ("table.csv", table), ("a.png", picture()))
    assert (done.stage, done.report.added) == (Stage.DONE, 1)


def test_names_lead_nowhere(tab: Tab) -> None:
    begun = tab.workshop.arrivals.begin("me", EVIL, total=10)
    for name in ("../../../evil.jsonl", "..\\..\\evil.jsonl", "/etc/passwd", "..", "", "a\0b", "evil.jsonl"):
        receiving = tab.workshop.arrivals.file("me", begun.id, name)
        receiving.write(b"{}")
        receiving.close()
    inside = {each.name for each in workrooms().glob("*/files/upload/*")}
    assert len(inside) == 7
    for name in ("passwd", "*evil*"):
        assert {each.parent.name for each in settings().data.parent.rglob(name)} == {"upload"}
    assert EVIL not in incoming(tab.workshop.arrivals.of("me"), "")
    assert "&lt;img" in incoming(tab.workshop.arrivals.of("me"), "")


def test_dataset_of_nothing_is_refused_and_leaves_nothing(tab: Tab) -> None:
    for data in (b"", b"not a dataset", zipped(row("missing.png"))):
        failed = tab.upload("mine.zip", ("mine.zip", data))
        assert failed.stage is Stage.FAILED
        assert failed.sentence
        assert tab.workshop.examples.datasets("me") == ()
    assert "missing.png" in tab.press("look")["arrival"]


def test_one_upload_at_a_time(tab: Tab) -> None:
    begun = tab.workshop.arrivals.begin("me", "one.zip")
    with pytest.raises(BadInput, match="still on its way"):
        tab.workshop.arrivals.begin("me", "two.zip")
    tab.workshop.arrivals.begin("you", "three.zip")
    tab.press("stop", arrival=begun.id)
    tab.workshop.arrivals.begin("me", "two.zip")


def test_upload_that_finds_no_room_is_refused_before_it_is_sent(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "free_bytes", lambda: 600_000_000)
    with pytest.raises(BadInput, match="more than is free"):
        tab.workshop.arrivals.begin("me", "big.zip", total=200_000_000)
    begun = tab.workshop.arrivals.begin("me", "big.zip", total=10)  # who says less sends no more
    receiving = tab.workshop.arrivals.file("me", begun.id, "big.zip")
    monkeypatch.setattr(arriving, "free_bytes", lambda: 0)
    with closing(receiving), pytest.raises(BadInput, match="more than is free"):
        receiving.write(b"0" * 11)
    assert tab.arrived().stage is Stage.FAILED


def test_full_disk_is_said(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tab.workshop.arrivals.begin("me", "big.zip", total=10)
    receiving = tab.workshop.arrivals.file("me", begun.id, "big.zip")

    class Full(io.BytesIO):
        def write(self, piece: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    receiving.close()
    monkeypatch.setattr(receiving, "_file", Full())
    with pytest.raises(AppError, match="No space left"):
        receiving.write(b"123")
    assert "No space left" in tab.press("look")["arrival"]


# --- what is shown ----------------------------------------------------------------------------


def unlike(number: int, label: str) -> Example:
    """An example whose picture looks like no other one."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    picture = picture_from(Image.fromarray(noise).resize((60, 40)))
    return replace(example(number, label), pictures=(picture,))


@pytest.fixture
def filled(tab: Tab) -> tuple[Tab, str]:
    """30 pictures: 20 with a circle, 10 with a square."""
    made = tab.workshop.examples.create("me", "Shapes")
    for number in range(30):
        label = "red circle" if number < 20 else "blue square"
        tab.workshop.examples.add("me", made.id, unlike(number, label))
    tab.look_at_all()
    return tab, made.id


def cards(shown: dict[str, str]) -> int:
    return shown["gallery"].count("lesson-card")


def test_examples_come_in_pages_and_by_kind(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    assert cards(tab.press("look", dataset=id)) == 24
    assert cards(tab.press("look", dataset=id, page=1)) == 6
    assert cards(tab.press("look", dataset=id, page=99)) == 6
    assert cards(tab.press("look", dataset=id, task="detect", label="blue square")) == 10
    held = tab.press("look", dataset=id, side="held")
    assert cards(held) == held["gallery"].count("held out</em>") == 6
    assert cards(tab.press("look", dataset=id, side="taught")) == 24
    assert "No example is of that kind" in tab.press("look", dataset=id, task="count")["gallery"]
    with pytest.raises(BadInput):
        tab.press("look", dataset=id, task="nonsense")


def test_counts_by_task_and_label_are_shown(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    html = tab.press("look", dataset=id)["dataset"]
    assert re.search(r"red circle</span>.*?<b>20</b>", html)
    assert re.search(r"blue square</span>.*?<b>10</b>", html)
    assert re.search(r"Held out <b>6</b>", html)


def test_example_shows_its_neighbours_and_can_be_deleted(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    first, second, *_ = tab.workshop.examples.ids("me", id)
    shown = tab.press("look", dataset=id, example=second)
    assert "2 of 30" in shown["example"]
    assert f'data-example="{first}"' in shown["example"]
    news = json.loads(shown["told"])["example"]
    assert news["regions"][0]["box"] == [0.1, 0.2, 0.3, 0.4]
    assert news["pictures"][0]["width"] == 60
    after = tab.press("drop", dataset=id, drop=second, example=first)
    assert "1 of 29" in after["example"]
    gone = tab.press("look", dataset=id, example=second)
    assert gone["example"] == ""
    assert cards(gone) == 24


def test_dataset_that_is_being_looked_at_shows_its_examples_already(
    filled: tuple[Tab, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tab, id = filled
    monkeypatch.setattr(Overviews, "of", lambda *_: None)
    shown = tab.press("look", dataset=id)
    assert cards(shown) == 24
    assert "looked at" in shown["dataset"]
    assert json.loads(shown["told"])["making"] is True


def test_overview_is_made_anew_when_the_dataset_changed(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    examples, overviews = tab.workshop.examples, tab.workshop.overviews
    before = examples.dataset("me", id)
    first = overviews.of(before, 0.2, 0, PATIENCE)
    assert overviews.of(before, 0.2, 0, PATIENCE) is first
    examples.add("me", id, unlike(31, "red circle"))
    after = overviews.of(examples.dataset("me", id), 0.2, 0, PATIENCE)
    assert first is not None
    assert after is not None
    assert (len(first.ids), len(after.ids)) == (30, 31)
    assert not set(after.only(held_out=True)) & set(after.only(held_out=False))


def test_what_a_file_wrote_is_shown_as_text(tab: Tab) -> None:
    made = tab.workshop.examples.create("me", EVIL)
    red = picture_from(Image.new("RGB", (60, 40), "red"))
    wrong = Reply(EVIL)
    evil = Example((red,), Task.CHAT, EVIL, f"{EVIL} yes", source=Source.UPLOAD, rejected=wrong, note=EVIL)
    kept = tab.workshop.examples.add("me", made.id, evil).example
    shown = tab.press("look", dataset=made.id)
    shown |= {"one": tab.press("look", dataset=made.id, example=kept.id)["example"]}
    shown |= {"text": tab.teach(dataset=made.id, example=kept.id)}
    for name, html in shown.items():
        if name != "told":
            assert EVIL not in html, name
    assert "&lt;img" in shown["one"]
    assert "A wrong answer" in shown["one"]


# --- what a model is taught -------------------------------------------------------------------


def test_training_text_marks_what_carries_loss(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    html = tab.teach(dataset=id, example=tab.workshop.examples.ids("me", id)[0], model="pebble")
    marked = re.findall(r'<mark class="loss">(.*?)</mark>', html, re.DOTALL)
    assert len(marked) == 1
    assert "red circle" in marked[0]
    assert "Assistant" not in marked[0]
    assert "Detect red circle" in html
    assert "64 of them stand for the picture" in html


def test_model_that_is_not_here_says_so(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    first = tab.workshop.examples.ids("me", id)[0]
    html = tab.teach(dataset=id, example=first, model="smolvlm2-500m")
    assert "SmolVLM2 500M is not on this computer" in html
    assert '<optgroup label="Not downloaded">' in html
    assert "Pebble</option>" in tab.teach(dataset=id, example=first, model="no such model")


def test_wrong_answer_alone_is_marked_as_such() -> None:
    html = lesson.text(Preview("Q: <b>A</b>", ((3, 11),), 9, 0, 4, wrong=True))
    assert '<mark class="loss wrong">&lt;b&gt;A&lt;/b&gt;</mark>' in html
    assert "learns not to say" in html


# --- whose it is ------------------------------------------------------------------------------


def test_somebody_elses_dataset_does_not_exist(filled: tuple[Tab, str]) -> None:
    tab, id = filled
    first = tab.workshop.examples.ids("me", id)[0]
    asking = tab.upload("mine.zip", ("mine.zip", zipped(*MIXED, a="red", b="blue")))
    stranger = tab.other("you")
    shown = stranger.press("look", dataset=id, example=first)
    assert "".join(html for name, html in shown.items() if name != "told") == ""
    assert json.loads(shown["told"])["example"] is None
    refused: list[Callable[[], object]] = [
        lambda: stranger.press("rename", dataset=id, name="Mine"),
        lambda: stranger.press("delete", dataset=id),
        lambda: stranger.press("drop", dataset=id, drop=first),
        lambda: stranger.teach(dataset=id, example=first),
        lambda: stranger.press("add", arrival=asking.id),
        lambda: stranger.workshop.arrivals.begin("you", "x.zip", id),
        lambda: stranger.workshop.arrivals.file("you", asking.id, "x.zip"),
        lambda: stranger.workshop.arrivals.came("you", asking.id),
    ]
    for each in refused:
        with pytest.raises(NotFound):
            each()
    stranger.press("stop", arrival=asking.id)
    assert tab.arrived().stage is Stage.ASKING
    assert tab.workshop.examples.dataset("me", id).size == 30


def test_datasets_are_made_renamed_and_deleted(tab: Tab) -> None:
    id = json.loads(tab.press("create", name=" My  set ")["told"])["dataset"]
    assert "My set" in tab.press("look")["list"]
    assert "Better" in tab.press("rename", dataset=id, name="Better")["dataset"]
    with pytest.raises(BadInput):
        tab.press("create", name="better")
    assert tab.press("delete", dataset=id)["list"] == ""
    with pytest.raises(BadInput, match="reload"):
        tab.press("no such act")


def test_list_says_how_large_and_how_old() -> None:
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    assert when(now, now) == "just now"
    assert when(datetime(2026, 3, 10, 11, 30, tzinfo=UTC), now) == "30 min ago"
    assert when(datetime(2026, 3, 10, 3, tzinfo=UTC), now) == "today 03:00"
    assert when(datetime(2026, 1, 2, tzinfo=UTC), now) == "2 Jan 2026"
    assert not Filter().chosen
    assert render.listed([], "", now) == ""


def test_every_model_that_is_offered_can_be_taught(tab: Tab) -> None:
    html = tab.acts.showing.texts.picker("pebble")
    offered = re.findall(r'<option value="([^"]+)"', html)
    assert "pebble" in offered
    assert "rapidocr" not in offered
    assert set(offered) <= set(catalog())
