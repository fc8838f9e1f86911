"""The place of datasets without a browser: what is shown of one, and whose it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from tests.finetune.runs import example
from tests.ui.dataset_desk import EVIL, MIXED, PATIENCE, Tab, tab, zipped
from vlm_app.catalog import catalog
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.arrival import Stage
from vlm_app.finetune.examples import Example, Reply, Source
from vlm_app.finetune.overview import Overviews
from vlm_app.finetune.preview import Preview
from vlm_app.media import picture_from
from vlm_app.types import Task
from vlm_app.ui.finetune.datasets import lesson, render
from vlm_app.ui.finetune.datasets.render import Filter
from vlm_app.ui.finetune.datasets.words import when

__all__ = ["tab"]


# --- what is shown ----------------------------------------------------------------------


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


# --- what a model is taught -------------------------------------------------------------


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


# --- whose it is ------------------------------------------------------------------------


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
