"""What somebody who asks a model without that task about a part of an image notices."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.engine.ready import Ready
from tests.engine.tiny import END, request, speak
from vlm_app.engine import Engine, LoadedModel, can
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.families.pebble import Pebble
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Answer, Box, Checkpoint, Finish, Picture, Request, Task

PART = "0.25, 0.5, 0.75, 1"


@pytest.fixture
def captioner(loaded: LoadedModel) -> Any:
    """A model that captions, and knows nothing of parts."""
    row = replace(loaded.checkpoint, tasks=frozenset({Task.CHAT, Task.CAPTION}))
    engine = Engine({"pebble": row}, Ready(loaded))
    yield engine
    assert engine.leases == {}
    engine.close()


@pytest.fixture
def up_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of most families: it knows what fills its image."""
    monkeypatch.setattr(Pebble, "closeups", True)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """What the model is shown."""
    seen: list[Picture] = []
    encode = Pebble.encode

    def watched(self: Pebble, processor: Any, turns: Any, **more: Any) -> Any:
        seen.extend(picture for turn in turns for picture in turn.pictures)
        return encode(self, processor, turns, **more)

    monkeypatch.setattr(Pebble, "encode", watched)
    return seen


def scene() -> Picture:
    """200 × 100 pixels: blue, with a red part at its bottom, from 50 to 150 pixels."""
    image = Image.new("RGB", (200, 100), "blue")
    image.paste("red", (50, 50, 150, 100))
    return picture_from(image)


def asked(query: str = PART, **more: Any) -> Request:
    return request(scene(), task=Task.DESCRIBE_REGION, query=query, tokens=60, **more)


def whole(engine: Engine, asked: Request) -> Answer:
    deltas = list(engine.answer(asked))
    answer = deltas[-1].answer
    assert answer is not None
    assert "".join(delta.text for delta in deltas) == answer.text
    assert tuple(region for delta in deltas for region in delta.regions) == answer.regions
    return answer


def test_the_part_is_captioned_and_drawn_and_the_note_says_so(captioner: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, f" I see a red ground.{END}"):
        answer = whole(captioner, asked())
    assert answer.text == "I see a red ground." and answer.task is Task.DESCRIBE_REGION
    (region,) = answer.regions
    assert region.shape == Box(0.25, 0.5, 0.75, 1.0) and region.image == 0
    assert answer.seen.note == (
        "It was shown the part alone, with a margin of 10 %, and asked to describe that."
    )
    assert "Describe the image." in answer.prompt and answer.finish is Finish.STOP


def test_it_is_shown_the_part_with_a_tenth_around_it_kept_in_the_image(
    captioner: Engine, shown: list[Picture], up_close: None
) -> None:
    whole(captioner, asked())
    (crop,) = shown
    assert crop.size == (120, 55)  # 100 × 50 pixels, and a margin of 10, 10 and 5, none below
    pixels = crop.pixels
    assert [pixels.getpixel(at) for at in ((9, 30), (10, 30), (109, 54), (110, 54), (60, 4), (60, 5))] == [
        (0, 0, 255), (255, 0, 0), (255, 0, 0), (0, 0, 255), (0, 0, 255), (255, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["0, 0, 1, 1", "0.999, 0.999, 1, 1", "0, 0, 0.001, 0.001"])
def test_the_smallest_and_the_largest_part_can_be_described(
    query: str, captioner: Engine, shown: list[Picture], up_close: None
) -> None:
    whole(captioner, asked(query))
    assert min(shown[0].size) >= 1 and shown[0].size <= (200, 100)


def test_of_several_images_the_part_lies_on_the_last(
    captioner: Engine, loaded: LoadedModel, shown: list[Picture], up_close: None
) -> None:
    other = picture_from(Image.new("RGB", (30, 30), "green"))
    both = request(other, scene(), task=Task.DESCRIBE_REGION, query=PART, tokens=20)
    with speak(loaded, f"red{END}"):
        answer = whole(captioner, both)
    assert [region.image for region in answer.regions] == [1]
    assert [picture.size for picture in shown] == [(120, 55)]


def test_what_the_caption_points_at_is_drawn_where_it_lies(
    captioner: Engine, loaded: LoadedModel, up_close: None
) -> None:
    with speak(loaded, f"<ref>all of it<loc_0><loc_0><loc_255><loc_255>{END}"):
        answer = whole(captioner, asked())
    part, found = answer.regions
    assert found.label == "all of it" and answer.text[slice(*(found.span or (0, 0)))] == "all of it"
    assert isinstance(found.shape, Box) and isinstance(part.shape, Box)
    assert found.shape.xyxy == pytest.approx((0.2, 0.45, 0.8, 1.0), abs=0.002)


def test_a_part_that_is_none_is_refused_before_anything_runs(captioner: Engine) -> None:
    with pytest.raises(BadInput, match="four fractions of the image"):
        list(captioner.answer(asked("the left one")))
    with pytest.raises(BadInput, match="there is none: add an image"):
        list(captioner.answer(request("x", task=Task.DESCRIBE_REGION, query=PART)))


def test_a_model_without_close_ups_is_shown_the_part_on_a_plain_ground(
    captioner: Engine, loaded: LoadedModel, shown: list[Picture]
) -> None:
    with speak(loaded, f"<ref>a thing<loc_0><loc_0><loc_255><loc_255>{END}"):
        answer = whole(captioner, asked("0.25, 0, 0.75, 0.5"))
    assert [region.label for region in answer.regions] == ["part"]
    (crop,) = shown
    assert crop.size == (360, 360)  # three times 100 pixels and a margin of 10 on both sides
    assert crop.pixels.getpixel((180, 205)) == (255, 0, 0)  # the margin below is red
    assert len({crop.pixels.getpixel(at) for at in ((0, 0), (359, 0), (0, 359), (359, 359))}) == 1


def test_the_ground_around_a_large_part_is_no_larger_than_a_model_needs(
    captioner: Engine, shown: list[Picture]
) -> None:
    photo = picture_from(Image.new("RGB", (3000, 1500), "blue"))
    whole(captioner, request(photo, task=Task.DESCRIBE_REGION, query="0, 0, 1, 1", tokens=20))
    assert [picture.size for picture in shown] == [(3072, 3072)]  # three times 1,024 pixels


def test_pebble_describes_a_shape_that_was_drawn_around() -> None:
    from vlm_app.engine import engine

    drawn = draw_scene(np.random.default_rng([8, 0]), kind="shapes")
    thing = drawn.things[0]
    part = ", ".join(f"{value:.4f}" for value in thing.box)
    query = request(picture_from(drawn.image), task=Task.DESCRIBE_REGION, query=part, tokens=60)
    assert thing.name in whole(engine(), query).text


def test_stopping_stops_the_caption(captioner: Engine, loaded: LoadedModel) -> None:
    stop = threading.Event()
    with speak(loaded, "I see " * 50, pause=0.01):
        answer = None
        for delta in captioner.answer(asked(), stop):
            answer = delta.answer or answer
            if delta.text:
                stop.set()
    assert answer is not None and answer.finish is Finish.CANCELLED
    assert answer.task is Task.DESCRIBE_REGION and len(answer.regions) == 1


def test_leaving_frees_the_model(captioner: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, "I see " * 50, pause=0.01):
        deltas = captioner.answer(asked())
        next(delta for delta in deltas if delta.text)
        deltas.close()


def test_which_models_can_describe_a_part_is_told() -> None:
    def row(*tasks: Task) -> Checkpoint:
        return Checkpoint("a", "A", "qwen", "a", frozenset(tasks))

    assert can(row(Task.CAPTION), Task.DESCRIBE_REGION)
    assert can(row(Task.DESCRIBE_REGION), Task.DESCRIBE_REGION)
    assert not can(row(Task.CHAT, Task.OCR), Task.DESCRIBE_REGION)
    assert can(row(Task.CAPTION), Task.CAPTION) and not can(row(Task.CAPTION), Task.DETECT)


def test_a_model_that_can_neither_says_so(loaded: LoadedModel) -> None:
    engine = Engine({"pebble": replace(loaded.checkpoint, tasks=frozenset({Task.CHAT}))}, Ready(loaded))
    with pytest.raises(ModelUnavailable, match="cannot do 'describe_region'"):
        list(engine.answer(asked()))
    engine.close()
