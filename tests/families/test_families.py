"""Families and the catalog fit together."""

from __future__ import annotations

import pytest

from tests.engine.tiny import pebble_processor
from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.types import Task


def test_every_row_of_the_catalog_has_a_family_that_does_its_tasks() -> None:
    assert catalog()
    for row in catalog().values():
        assert row.tasks <= families.get(row.family).tasks, row.id


def test_video_is_said_of_models_whose_family_takes_it() -> None:
    for row in catalog().values():
        assert not row.video or families.get(row.family).video, row.id
    for name in families.names():
        assert not families.get(name).native_video or families.get(name).video, name


def test_a_family_is_named_like_its_file() -> None:
    assert set(families.names()) >= {"pebble", "smolvlm"}
    for name in families.names():
        family = families.get(name)
        assert family.name == name
        assert type(family).__module__ == f"vlm_app.families.{name}"


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable, match=r"known are: .*pebble"):
        families.get("base")


@pytest.mark.parametrize(
    ("task", "query", "words"),
    [
        (Task.CHAT, "Is <this> it? ", "Is <this> it? "),
        (Task.CAPTION, "", "Describe the image."),
        (Task.DETECT, "red circle", "Detect red circle."),
        (Task.DETECT, "", "Detect everything."),
        (Task.DETECT, " red circle;blue  square, ", "Detect red circle, blue square."),
        (Task.GROUND, "the leftmost shape.", "Find the leftmost shape."),
        (Task.POINT, "the cross?", "Point to the cross."),
        (Task.COUNT, "circles", "Count circles."),
        (Task.OCR, "anything", "Read the text."),
        (Task.OCR_REGIONS, "", "Read the text with places."),
    ],
)
def test_pebble_is_asked_as_it_was_taught(task: Task, query: str, words: str) -> None:
    assert families.get("pebble").ask(task, query) == words


@pytest.mark.parametrize("task", [Task.GROUND, Task.POINT, Task.COUNT])
def test_looking_for_nothing_is_refused(task: Task) -> None:
    with pytest.raises(BadInput, match="needs to know what to look for"):
        families.get("pebble").ask(task, " . ")


@pytest.mark.parametrize(("name", "task"), [("pebble", Task.SEGMENT), ("smolvlm", Task.DETECT)])
def test_a_task_that_a_family_cannot_do_is_refused(name: str, task: Task) -> None:
    with pytest.raises(ModelUnavailable, match=f"cannot do '{task}': it can do .*caption"):
        families.get(name).ask(task, "x")


def test_lora_towers_name_modules_of_the_built_in_model() -> None:
    from vlm_app.pebble.model import build_model

    model = build_model(pebble_processor().tokenizer)
    for module in families.get("pebble").lora_towers.values():
        model.get_submodule(module)
