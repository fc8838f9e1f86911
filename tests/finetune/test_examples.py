"""What somebody who collects examples notices."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import Engine, event

from vlm_app.errors import AppError, BadInput, NotFound
from vlm_app.finetune.examples import (
    Example,
    Examples,
    Reply,
    Source,
    digest,
    example_from_dict,
    example_to_dict,
)
from vlm_app.media import picture_from
from vlm_app.store import Store
from vlm_app.types import Box, Mask, Picture, Point, Polygon, Region, Task

BOX = Box(0.1, 0.2, 0.3, 0.4)


def picture(colour: str = "red") -> Picture:
    return picture_from(Image.new("RGB", (40, 30), colour))


def example(**changes: Any) -> Example:
    facts: dict[str, Any] = {
        "pictures": (picture(),),
        "task": Task.DETECT,
        "query": "red circle",
        "text": "red circle",
        "regions": (Region("red circle", BOX, span=(0, 10)),),
        "source": Source.EDIT,
    }
    return Example(**(facts | changes))


@pytest.fixture
def kept(store: Store) -> Examples:
    return Examples(store)


def images(store: Store) -> list[Path]:
    return sorted(path for path in (store.data / "images").rglob("*.png"))


# --- examples -----------------------------------------------------------------------------

WHOLE = example(
    pictures=(picture("red"), picture("blue"), picture("red")),
    text="a, b, c, d",
    regions=(
        Region("a", BOX, 2, text="read", score=0.25, span=(0, 1)),
        Region("b", Point(1 / 3, 2 / 3), 1, span=(3, 4)),
        Region("c", Polygon((Point(0, 0), Point(0.5, 0.1), Point(1, 1))), 0),
        Region("d", Mask(BOX, (3, 2), b"\0\1\1\0\0\1"), 0),
    ),
    rejected=Reply("z", (Region("z", BOX),)),
    source=Source.VOTE,
    maker="pebble",
    note="a note with 漢字",
)


def test_an_example_comes_back_as_it_was_added(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    added = kept.add("ada", dataset.id, WHOLE)
    assert not added.again and added.sentence == "Added to 'Signs', which has 1 example now."
    (found,) = kept.examples("ada", dataset.id)
    assert found == added.example
    assert replace(found, id="", created=None) == WHOLE
    assert [one.pixels.tobytes() for one in found.pictures] == [
        one.pixels.tobytes() for one in WHOLE.pictures
    ]


def test_examples_stand_in_the_order_in_which_they_were_added(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    words = ["c", "a", "b"]
    for word in words:
        kept.add("ada", dataset.id, example(query=word))
    assert [one.query for one in kept.examples("ada", dataset.id)] == words


def test_the_same_example_is_told_and_kept_once(kept: Examples, store: Store) -> None:
    dataset = kept.create("ada", "Signs")
    first = kept.add("ada", dataset.id, example())
    again = kept.add("ada", dataset.id, example(source=Source.UPLOAD, maker="pebble", note="other"))
    assert again.again and again.example == first.example
    assert again.sentence == "'Signs' holds this example already: nothing was added."
    assert again.dataset.size == 1 and len(kept.examples("ada", dataset.id)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"pictures": (picture("blue"),)},
        {"task": Task.GROUND},
        {"query": "circle"},
        {"text": "red circle."},
        {"regions": ()},
        {"regions": (Region("red circle", Box(0.1, 0.2, 0.3, 0.5), span=(0, 10)),)},
        {"rejected": Reply("blue circle")},
    ],
)
def test_what_teaches_something_else_is_another_example(changes: dict[str, Any], kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    kept.add("ada", dataset.id, example())
    assert not kept.add("ada", dataset.id, example(**changes)).again
    assert digest(example()) != digest(example(**changes))


def test_many_are_kept_at_once_in_their_order_and_each_once(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    first = kept.add("ada", dataset.id, example()).example
    many = [example(query=f"{number}") for number in range(5)]
    assert kept.add_all("ada", dataset.id, [*many, example(), many[2]]) == (*[False] * 5, True, True)
    found = kept.examples("ada", dataset.id)
    assert [one.query for one in found] == [first.query, *(one.query for one in many)]
    assert kept.add_all("ada", dataset.id, []) == ()
    with pytest.raises(NotFound):
        kept.add_all("bob", dataset.id, [example(query="mine")])
    assert len(kept.examples("ada", dataset.id)) == 6


def test_two_datasets_may_hold_the_same_example(kept: Examples, store: Store) -> None:
    first, second = kept.create("ada", "Signs"), kept.create("ada", "Shapes")
    assert not kept.add("ada", first.id, example()).again
    assert not kept.add("ada", second.id, example()).again
    assert len(images(store)) == 1


def test_an_example_that_is_added_twice_at_once_is_kept_once(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: kept.add("ada", dataset.id, example()), range(16)))
    assert sum(not each.again for each in added) == 1
    assert len(kept.examples("ada", dataset.id)) == 1


def test_a_thing_that_is_not_there_is_an_example_too(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    kept.add("ada", dataset.id, example(text="", regions=()))
    assert kept.examples("ada", dataset.id)[0].chosen == Reply("")


def test_a_thumb_down_without_a_correction_keeps_what_was_wrong(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    wrong = example(text=None, regions=(), rejected=Reply("a cat"), source=Source.VOTE)
    kept.add("ada", dataset.id, wrong)
    (found,) = kept.examples("ada", dataset.id)
    assert found.chosen is None and found.rejected == Reply("a cat")


def test_half_a_character_is_kept_as_a_question_mark(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    kept.add("ada", dataset.id, example(task=Task.CAPTION, query="\ud83d", text="x\udc00", regions=()))
    (found,) = kept.examples("ada", dataset.id)
    assert (found.query, found.text) == ("?", "x?")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pictures": ()}, "at least one picture"),
        ({"regions": (Region("a", BOX, 1),)}, "found number 2"),
        ({"regions": (Region("a", BOX, span=(0, 99)),)}, "of a text of 10"),
        ({"rejected": Reply("a", (Region("a", BOX, 1),))}, "found number 2"),
        ({"rejected": Reply("red circle", (Region("red circle", BOX, span=(0, 10)),))}, "the same"),
        ({"text": None, "regions": ()}, "without a right answer"),
        ({"text": None, "rejected": Reply("a")}, "without a right answer"),
        ({"task": Task.CAPTION, "text": " ", "regions": ()}, "in words"),
        ({"task": Task.CHAT, "query": ""}, "its question"),
    ],
)
def test_an_example_that_teaches_nothing_cannot_be_made(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        example(**changes)


# --- the schema ---------------------------------------------------------------------------


def test_the_documented_json_is_what_is_written() -> None:
    import vlm_app.finetune.examples as package

    told = (package.__doc__ or "").split("As JSON, version 1:")[1].split("`regions` are")[0]
    data = example_to_dict(example(rejected=Reply("blue circle")), ["0199…"])
    for key, value in data.items():
        shown = json.dumps(value, ensure_ascii=False)
        assert f'"{key}": ' in told, key
        if key not in ("pictures", "regions"):
            assert f'"{key}": {shown}' in told, key
    for key in data["regions"][0]:
        assert f'"{key}": ' in told, key


def test_boxes_are_fractions_of_the_upright_picture() -> None:
    assert example_to_dict(example(), ["a"])["regions"][0]["box"] == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": None},
        {"task": "fly"},
        {"source": "dream"},
        {"text": 3},
        {"pictures": "a"},
        {"regions": [{"label": "a", "kind": "box", "box": [0, 0, 2, 1]}]},
        {"regions": [{"label": "a", "kind": "box", "box": [0, 0, 1, 1], "image": 1}]},
        {"regions": ["a"]},
        {"rejected": "a"},
    ],
)
def test_data_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    data = example_to_dict(example(), ["a"]) | changes
    with pytest.raises((ValueError, BadInput)):
        example_from_dict(data, [picture()])


# --- datasets -----------------------------------------------------------------------------


def test_datasets_say_how_many_examples_they_have_of_each_task(kept: Examples) -> None:
    first, second = kept.create("ada", "Signs"), kept.create("ada", "  Two\n shapes ")
    for word in ("a", "b"):
        kept.add("ada", first.id, example(query=word))
    kept.add("ada", first.id, example(task=Task.COUNT))
    found = kept.datasets("ada")
    assert [one.name for one in found] == ["Signs", "Two shapes"]  # the last changed first
    assert found[0].counts == {Task.COUNT: 1, Task.DETECT: 2} and found[0].size == 3
    assert found[1].counts == {} and found[1].size == 0 and found[1].id == second.id


def test_a_dataset_is_renamed_and_two_never_have_one_name(kept: Examples) -> None:
    first, second = kept.create("ada", "Signs"), kept.create("ada", "Shapes")
    assert kept.rename("ada", first.id, "Street signs").name == "Street signs"
    assert kept.rename("ada", first.id, "street signs").name == "street signs"
    with pytest.raises(BadInput, match="There is a dataset 'STREET signs' already: choose another name"):
        kept.rename("ada", second.id, "STREET signs")
    with pytest.raises(BadInput, match="already"):
        kept.create("ada", "shapes")
    assert kept.create("bob", "Shapes").name == "Shapes"


@pytest.mark.parametrize("name", ["", " \n ", "x" * 81])
def test_a_name_that_is_none_is_refused(name: str, kept: Examples) -> None:
    with pytest.raises(BadInput, match="1 to 80 characters, found"):
        kept.create("ada", name)


def test_another_owners_dataset_does_not_exist(kept: Examples) -> None:
    dataset = kept.create("ada", "Signs")
    added = kept.add("ada", dataset.id, example())
    tries = [
        lambda: kept.examples("bob", dataset.id),
        lambda: kept.add("bob", dataset.id, example()),
        lambda: kept.rename("bob", dataset.id, "Mine"),
        lambda: kept.delete_dataset("bob", dataset.id),
        lambda: kept.delete("bob", added.example.id),
    ]
    for attempt in tries:
        with pytest.raises(NotFound) as other:
            attempt()
        assert isinstance(other.value, AppError) and "not yours" in other.value.sentence
    assert kept.datasets("bob") == () and kept.datasets("ada")[0].size == 1


def test_deleting_lets_go_of_images_that_nothing_else_holds(kept: Examples, store: Store) -> None:
    first, second = kept.create("ada", "Signs"), kept.create("ada", "Shapes")
    red = kept.add("ada", first.id, example())
    kept.add("ada", second.id, example())
    blue = kept.add("ada", first.id, example(pictures=(picture("blue"), picture("blue"))))
    assert len(images(store)) == 2
    kept.delete("ada", blue.example.id)
    assert len(images(store)) == 1
    kept.delete("ada", red.example.id)
    assert len(images(store)) == 1  # the other dataset has it too
    kept.delete_dataset("ada", second.id)
    assert images(store) == [] and [one.name for one in kept.datasets("ada")] == ["Signs"]
    with pytest.raises(NotFound):
        kept.delete("ada", red.example.id)


def test_an_image_of_an_example_outlives_the_chat_it_came_from(kept: Examples, store: Store) -> None:
    dataset = kept.create("ada", "Signs")
    kept.add("ada", dataset.id, example())
    media = store.add_picture("ada", picture())
    store.drop_unused("ada", [media])
    assert kept.examples("ada", dataset.id)[0].pictures == (picture(),)


def test_a_dataset_is_opened_with_as_few_questions_to_the_database_however_many_pictures_it_has(
    store: Store, kept: Examples
) -> None:
    asked: list[str] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    few, many = (kept.create("me", name).id for name in ("Few", "Many"))
    try:
        for number in range(12):
            for dataset in (few, many)[number > 2 :]:
                kept.add("me", dataset, example(pictures=(picture(f"#{number:02}ff00"),)))
        counts = []
        for dataset in (few, many):
            asked.clear()
            kept.held("me", kept.ids("me", dataset))
            kept.examples("me", dataset)
            counts.append(len(asked))
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert counts[0] == counts[1] > 0


def test_the_images_of_a_large_dataset_go_with_it(
    store: Store, kept: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlm_app.store.store._AT_ONCE", 2)
    dataset = kept.create("me", "Large").id
    for number in range(5):
        kept.add("me", dataset, example(pictures=(picture(f"#{number:02}0000"),)))
    assert len(images(store)) == 5
    kept.delete_dataset("me", dataset)
    assert images(store) == []
