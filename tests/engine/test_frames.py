"""One question about a clip, asked of models that take video, images, one image, and of a server."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from tests.engine.ready import Ready
from tests.engine.tiny import END, speak
from tests.families import checkpoints
from tests.servers import fault_server
from tests.servers.fault_server import KEY
from vlm_app import families, servers
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.frames import shown
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import BadInput
from vlm_app.media import picture_from
from vlm_app.servers.breaker import forget
from vlm_app.servers.kinds import KINDS
from vlm_app.types import (
    Answer,
    Checkpoint,
    Clip,
    Picture,
    Point,
    Region,
    Request,
    Role,
    Sampling,
    Task,
    Turn,
)

QUESTION = "What happens, and when?"
BOX = "<loc_64><loc_64><loc_128><loc_192>"


def frame(number: int) -> Picture:
    return picture_from(Image.new("RGB", (96, 64), (10 * number, 200, 30)))


def clip(count: int = 4, every: float = 3.0) -> Clip:
    return Clip(tuple(map(frame, range(count))), tuple(every * number for number in range(count)))


def request(*parts: str | Picture | Clip, model: str = "pebble", **more: Any) -> Request:
    return Request((Turn(Role.USER, parts),), model, sampling=Sampling(max_tokens=40), **more)


def row(most: int | None = None, family: str = "pebble", **more: Any) -> Checkpoint:
    tasks = families.get(family).tasks
    return Checkpoint("m", "Model", family, "m", tasks, max_images=most, **more)


def whole(engine: Engine, asked: Request) -> Answer:
    *_, last = engine.answer(asked)
    assert last.answer is not None
    return last.answer


def seen_by(asked: Request, checkpoint: Checkpoint) -> list[str]:
    """What reaches the model: texts, and the number of each frame."""
    every = {picture: f"frame {index}" for index, picture in enumerate(asked.pictures)}
    view = shown(asked, checkpoint, families.get(checkpoint.family))
    (turn,) = view.turns(view.request.turns)
    assert not any(isinstance(part, Clip) for part in turn.parts)
    return [part if isinstance(part, str) else every[part] for part in turn.parts]


# --- numbered images ------------------------------------------------------------------------


def test_frames_are_images_behind_their_number_and_time() -> None:
    assert seen_by(request(clip(3, every=40.0), QUESTION), row()) == [
        *("Frame 1, 0:00:", "frame 0", "Frame 2, 0:40:", "frame 1", "Frame 3, 1:20:", "frame 2"),
        QUESTION,
    ]


def test_a_model_answers_about_frames(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, f" At 0:03 <ref>a circle{BOX}.{END}"):
        answer = whole(engine, request(clip(3), QUESTION))
    assert answer.prompt.count("<image>") == 3
    assert "Frame 2, 0:03:<fake_token_around_image>" in answer.prompt.replace("\n", "")
    assert [region.image for region in answer.regions] == [2], "the last one, where none is named"
    assert answer.seen.note == ""


def test_a_model_of_few_images_gets_frames_spread_evenly_and_says_so() -> None:
    asked = request(clip(10), QUESTION)
    assert [part for part in seen_by(asked, row(4)) if part.startswith("frame")] == [
        *("frame 1", "frame 3", "frame 6", "frame 8")
    ]
    view = shown(asked, row(4), families.get("pebble"))
    assert view.note == "Model saw 4 frames of 10, from 0:03 to 0:24: it takes no more images."
    placed = view.placed([Region("cat", Point(0.5, 0.5), image) for image in range(4)])
    assert [region.image for region in placed] == [1, 3, 6, 8], "counted as the request counts them"


def test_regions_on_a_few_frames_lie_on_the_frames_of_the_request(loaded: LoadedModel) -> None:
    few = replace(loaded.checkpoint, max_images=2)
    engine = Engine({"pebble": few}, Ready(loaded))
    with speak(loaded, f" <ref>a circle{BOX}.{END}"):
        answer = whole(engine, request(clip(8), QUESTION))
    engine.close()
    assert [region.image for region in answer.regions] == [6]
    assert answer.seen.note == "Pebble saw 2 frames of 8, from 0:06 to 0:18: it takes no more images."
    assert answer.prompt.count("<image>") == 2


def test_a_model_of_one_image_gets_the_middle_frame_alone() -> None:
    asked = request(clip(5), QUESTION)
    assert seen_by(asked, row(1)) == ["frame 2", QUESTION]
    note = shown(asked, row(1), families.get("pebble")).note
    assert note == "Model saw 1 frame of 5, at 0:06: it takes no more images."


def test_pictures_beside_a_clip_come_first_when_there_is_little_room() -> None:
    asked = request(frame(20), clip(6), frame(21), QUESTION)
    kept = [part for part in seen_by(asked, row(4)) if part.startswith("frame")]
    assert kept == ["frame 0", "frame 2", "frame 5", "frame 7"]
    with pytest.raises(BadInput, match="Model takes at most 2 images in a conversation, found 3"):
        shown(asked, row(2), families.get("pebble"))


def test_two_clips_share_the_room_and_a_short_one_leaves_its_part_to_the_other() -> None:
    asked = request(
        clip(2), Clip(tuple(frame(30 + number) for number in range(8)), tuple(range(8))), QUESTION
    )
    kept = shown(asked, row(7), families.get("pebble")).kept
    assert kept == (0, 1, 2, 4, 6, 7, 9)


def test_images_that_are_too_many_are_refused_as_before() -> None:
    with pytest.raises(BadInput, match="at most 2 images in a conversation, found 3: begin a new chat"):
        shown(request(frame(1), frame(2), frame(3), QUESTION), row(2), families.get("pebble"))


def test_a_task_is_asked_of_a_clip_in_the_familys_words(engine: Engine, loaded: LoadedModel) -> None:
    with speak(loaded, f" A circle.{END}"):
        answer = whole(engine, request(clip(2), task=Task.CAPTION))
    assert answer.prompt.replace("\n", "").endswith(f"Describe the image.{END}Assistant:")
    assert "Frame 1, 0:00:" in answer.prompt


# --- whole --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qwen3_vl", "molmo2", "internvl"])
def test_a_model_that_takes_video_gets_the_same_request_whole(name: str) -> None:
    checkpoint = checkpoints.row(name, video=True, max_images=1)
    asked = request(clip(4), QUESTION, model=name)
    view = shown(asked, checkpoint, families.get(checkpoint.family))
    assert view.native and view.times == (0.0, 3.0, 6.0, 9.0), "frames are not counted as images"
    engine = Engine({name: checkpoint}, Ready(load_checkpoint(checkpoint)))
    answer = whole(engine, asked)
    engine.close()
    assert answer.usage.completion_tokens >= 1
    assert "Frame 1, 0:00:" not in answer.prompt
    assert answer.seen.visual_tokens > 0 and answer.seen.note == ""


def test_a_row_that_does_not_say_video_gets_images() -> None:
    view = shown(request(clip(4), QUESTION), row(family="qwen3_vl"), families.get("qwen3_vl"))
    assert not view.native and view.times == ()


def test_seconds_in_an_answer_of_molmo_name_frames_of_the_request() -> None:
    name = "molmo2"
    checkpoint = checkpoints.row(name, video=True)
    loaded = load_checkpoint(checkpoint)
    engine = Engine({name: checkpoint}, Ready(loaded))
    said = '<points coords="3.0 1 100 200;8.9 2 300 400">cat</points>' + families.get(name).end
    asked = (Turn(Role.USER, (clip(4), QUESTION)),)
    with speak(loaded, said):
        answer = whole(engine, Request(asked, name, sampling=Sampling(max_tokens=200)))
    engine.close()
    assert [region.image for region in answer.regions] == [1, 3]


# --- on a server ----------------------------------------------------------------------------


def _sent(most: int | None, monkeypatch: pytest.MonkeyPatch) -> tuple[list[dict[str, Any]], Answer]:
    """The parts of the message that a server got about six frames."""
    with fault_server.serving() as faults:
        servers.add("gpu", faults.url, "other", KEY)
        try:
            servers.discover("gpu")
            if most is not None:
                limited = replace(KINDS["other"], max_images=most)
                monkeypatch.setattr("vlm_app.servers.registry.KINDS", {**KINDS, "other": limited})
            engine = Engine(catalog(), Ready())
            model = "gpu/Qwen/Qwen3-VL-4B-Instruct"
            answer = whole(engine, request(clip(6), QUESTION, model=model))
            engine.close()
            (message,) = faults.asked[-1]["messages"]
            return message["content"], answer
        finally:
            forget("gpu")


def test_a_server_gets_numbered_images_with_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, answer = _sent(None, monkeypatch)
    assert [part.get("text", "image") for part in parts] == [
        text for number in range(6) for text in (f"Frame {number + 1}, 0:{3 * number:02}:", "image")
    ] + [QUESTION]
    data = base64.b64decode(parts[3]["image_url"]["url"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).convert("RGB").getpixel((5, 5)) == (10, 200, 30)
    assert [region.image for region in answer.regions] == [5]


def test_a_server_of_few_images_gets_some_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, answer = _sent(3, monkeypatch)
    assert [part["text"] for part in parts if "text" in part] == [
        *("Frame 1, 0:03:", "Frame 2, 0:09:", "Frame 3, 0:15:", QUESTION)
    ]
    assert "saw 3 frames of 6, from 0:03 to 0:15: it takes no more images." in answer.seen.note
    assert [region.image for region in answer.regions] == [5]


def test_a_server_of_fewer_images_than_there_are_clips_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="takes at most 0 images in a conversation, found 1"):
        _sent(0, monkeypatch)
