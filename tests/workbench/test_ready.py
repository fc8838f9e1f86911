"""What somebody who presses a ready question notices."""

from __future__ import annotations

import pytest

from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.types import Checkpoint, Runs, Task
from vlm_app.workbench.ready import ALT_LENGTH, Ready, ready
from vlm_app.workbench.sheet import Kind


def row(*tasks: Task, family: str = "qwen2_5_vl", chat: bool = True) -> Checkpoint:
    return Checkpoint("some", "Some", family, "some/some", frozenset(tasks), chat=chat)


def found(*tasks: Task, **more: object) -> dict[str, Ready]:
    return {each.name: each for each in ready(row(*tasks, **more))}


def test_a_model_that_chats_writes_alt_text_of_a_stated_length() -> None:
    alt = found(Task.CHAT, Task.CAPTION)["alt_text"]
    assert alt.task is Task.CHAT and f"at most {ALT_LENGTH} characters" in alt.query
    assert ALT_LENGTH == 125 and alt.kinds == frozenset(Kind)


def test_a_model_that_only_captions_gives_its_caption() -> None:
    assert found(Task.CAPTION)["alt_text"].task is Task.CAPTION
    assert found(Task.CHAT, Task.CAPTION, chat=False)["alt_text"].task is Task.CAPTION


def test_defects_are_boxed_where_the_model_takes_any_words_and_told_elsewhere() -> None:
    boxed, told = found(Task.CHAT, Task.DETECT)["defects"], found(Task.CHAT)["defects"]
    assert boxed.task is Task.DETECT and "scratch, crack" in boxed.query
    assert told.task is Task.CHAT and "scratch, crack" in told.query


def test_screen_elements_are_points_where_the_model_points_and_boxes_elsewhere() -> None:
    assert found(Task.POINT, Task.DETECT)["elements"].task is Task.POINT
    assert found(Task.DETECT)["elements"].task is Task.DETECT
    assert "button, link, text field" in found(Task.POINT)["elements"].query
    assert "elements" not in found(Task.CHAT, Task.CAPTION)


def test_the_built_in_model_is_not_asked_for_what_it_has_no_words_for() -> None:
    offered = ready(catalog()["pebble"])
    assert [(each.name, each.task) for each in offered] == [("alt_text", Task.CAPTION)]


def test_a_reader_of_text_has_none() -> None:
    assert ready(row(Task.OCR, Task.OCR_REGIONS)) == ()


@pytest.mark.parametrize("id", sorted(catalog()))
def test_every_model_can_do_what_is_offered(id: str) -> None:
    row = catalog()[id]
    for each in ready(row):
        assert each.task in row.tasks and each.title and each.about.endswith(".") and each.kinds
        assert each.question.task is each.task and each.question.query == each.query
        if each.task is not Task.CHAT and row.runs is not Runs.PACKAGE:
            assert families.get(row.family).ask(each.task, each.query)
