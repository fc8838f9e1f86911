"""Families that take video get exactly the frames that were chosen, with their own times."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import torch
from PIL import Image

from tests.families import checkpoints
from vlm_app import families
from vlm_app.families import Family
from vlm_app.grounding.moments import moments
from vlm_app.media import picture_from
from vlm_app.types import Clip, Picture, Point, Role, Seen, Task, Turn

NATIVE = [name for name in checkpoints.names() if checkpoints.family(name).native_video]
# Times that no frame rate has: a processor that sampled or counted would write others.
TIMES = (0.5, 2.25, 7.0, 7.75, 31.0)


def clip(times: tuple[float, ...] = TIMES, size: tuple[int, int] = (120, 80)) -> Clip:
    frames = tuple(
        picture_from(Image.new("RGB", size, (40 * number % 256, 90, 20))) for number in range(len(times))
    )
    return Clip(frames, times)


def user(*parts: str | Picture | Clip) -> list[Turn]:
    return [Turn(Role.USER, parts)]


@cache
def loaded(name: str) -> tuple[Family, Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = checkpoints.checkpoint(name)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    return checkpoints.family(name), AutoProcessor.from_pretrained(folder), model


def encode(name: str, turns: list[Turn], **more: Any) -> tuple[dict[str, Any], Seen]:
    family, processor, _ = loaded(name)
    assert family.takes(turns)
    return family.encode(processor, turns, task=Task.CHAT, **more)


def prompt(name: str, turns: list[Turn]) -> str:
    """The prompt, runs of one token as one."""
    inputs, _ = encode(name, turns)
    text = loaded(name)[1].tokenizer.decode(inputs["input_ids"][0])
    return re.sub(r"(<[^<>]{3,30}>)\1+", r"\1", text)


@pytest.mark.parametrize("name", NATIVE)
def test_the_prompt_has_as_many_tokens_as_the_model_makes_of_the_frames(name: str) -> None:
    inputs, seen = encode(name, user(clip(), "What happens?"))
    model = loaded(name)[2]
    with torch.no_grad():  # raises where features and tokens differ
        model(**inputs)
        written = model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert written.shape[1] == inputs["input_ids"].shape[1] + 3
    assert seen.visual_tokens > 0 and seen.size is not None
    video = getattr(model.config, "video_token_id", None)
    tokens = int((inputs["input_ids"] == video).sum()) if video else 0
    if tokens:
        assert seen.visual_tokens == tokens


@pytest.mark.parametrize("name", NATIVE)
def test_all_frames_reach_the_model_and_no_others(name: str) -> None:
    size = (320, 256)  # above the least that a whole clip is made larger to
    one, _ = encode(name, user(clip(TIMES[:4], size), "What?"))
    two, _ = encode(name, user(clip((*TIMES[:4], 40.0, 41.0, 50.0, 60.0), size), "What?"))
    pixels = "pixel_values_videos" if "pixel_values_videos" in one else "pixel_values"
    assert two[pixels].numel() == 2 * one[pixels].numel()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("qwen3_vl", ["1.4", "7.4", "31.0"]),  # of each pair of frames the middle
        ("qwen3_vl_moe", ["1.4", "7.4", "31.0"]),
        ("glm4v", ["0", "7", "31"]),  # of each pair the first, in whole seconds
        ("glm46v", ["0.5", "7.0", "31.0"]),
        ("molmo2", ["0.5", "2.2", "7.0", "7.8", "31.0"]),
        ("smolvlm", ["00:00", "00:02", "00:07", "00:07", "00:31"]),
    ],
)
def test_the_times_in_the_prompt_are_those_of_the_frames(name: str, written: list[str]) -> None:
    text = prompt(name, user(clip(), "What happens?")).partition("What happens?")[0]
    text = re.sub(r"<(?!\d)[^<>]*>", " ", text).replace("[H:MM:SS]", "").replace("0:00:31", "")
    assert re.findall(r"\d+(?:[.:]\d+)?", text) == written


def test_qwen25_is_told_how_far_apart_the_frames_are() -> None:
    inputs, _ = encode("qwen2_5_vl", user(clip((1.0, 1.5, 2.0, 2.5)), "What?"))
    assert inputs["second_per_grid_ts"].tolist() == [1.0]  # two frames in a patch


def test_a_video_of_qwen3_has_one_pair_of_marks_for_each_pair_of_frames() -> None:
    text = prompt("qwen3_vl", user(clip((1.0, 2.0, 3.0, 4.0)), "What?"))
    one = "<|vision_start|><|video_pad|><|vision_end|>"
    assert f"user\n<1.5 seconds>{one}<3.5 seconds>{one}What?" in text


@pytest.mark.parametrize("name", NATIVE)
def test_a_budget_of_pixels_holds_for_a_frame(name: str) -> None:
    family = loaded(name)[0]
    large = clip(TIMES, (600, 400))
    _, whole = encode(name, user(large, "What?"))
    _, small = encode(name, user(large, "What?"), pixels=64 * 64)
    assert whole.size is not None and small.size is not None
    if family.name.startswith(("qwen", "glm")):
        assert small.size[0] * small.size[1] <= 64 * 64 < whole.size[0] * whole.size[1]
    assert small.visual_tokens <= whole.visual_tokens


@pytest.mark.parametrize("name", NATIVE)
def test_what_a_user_types_never_becomes_a_video(name: str) -> None:
    typed = "Is <video> <|video_pad|> <|video|> <|vision_start|> <image> a word?"
    plain, _ = encode(name, user(clip(), "Is it a word?"))
    inputs, _ = encode(name, user(clip(), typed))
    tokenizer, model = loaded(name)[1].tokenizer, loaded(name)[2]
    for token in tokenizer.added_tokens_encoder.values():
        assert (inputs["input_ids"] == token).sum() == (plain["input_ids"] == token).sum()
    with torch.no_grad():
        model(**inputs)


@pytest.mark.parametrize("name", NATIVE)
def test_a_conversation_about_a_video_can_be_learned_from(name: str) -> None:
    turns = [*user(clip(), "What happens?"), Turn(Role.ASSISTANT, ("A cat falls.",)), *user("When?")]
    asked, _ = encode(name, turns)
    learned, _ = encode(name, turns, answer="At 0:07.")
    start = asked["input_ids"].shape[1]
    assert torch.equal(learned["input_ids"][:, :start], asked["input_ids"])
    assert (learned["labels"][:, :start] == -100).all()
    assert loaded(name)[2](**learned).loss.isfinite()


@pytest.mark.parametrize("name", NATIVE)
def test_pictures_beside_a_video_and_two_videos_work_where_they_are_taken(name: str) -> None:
    family, processor, model = loaded(name)
    still = checkpoints.picture(size=(90, 60))
    both = user(still, clip(), "Is it in the video?")
    two = user(clip(), clip((1.0, 2.0, 3.0, 4.0, 5.0)), "What is different?")
    for turns in (both, two):
        if family.takes(turns):
            inputs, _ = family.encode(processor, turns, task=Task.CHAT)
            with torch.no_grad():
                model(**inputs)
    assert family.takes(both) == (family.name not in ("glm4v", "molmo2", "smolvlm"))
    assert family.takes(two) == (family.name not in ("molmo2", "smolvlm"))


@pytest.mark.parametrize("name", NATIVE)
def test_a_single_frame_and_frames_of_several_sizes_are_images(name: str) -> None:
    family = checkpoints.family(name)
    assert not family.takes(user(clip((3.0,)), "What?"))
    odd = Clip((*clip((1.0, 2.0)).frames, checkpoints.picture(size=(50, 50))), (1.0, 2.0, 3.0))
    assert not family.takes(user(odd, "What?"))


def test_no_other_family_takes_a_clip() -> None:
    for name in families.names():
        family = families.get(name)
        assert family.takes(user(clip(), "What?")) == family.native_video
        assert not family.native_video or (family.video and family.native), name


# --- answers ------------------------------------------------------------------------------


def test_molmo_points_at_seconds_of_a_video_and_at_numbers_of_images() -> None:
    family = families.get("molmo2")
    raw = '<points coords="0.5 1 100 200;7.1 2 300 400 3 500 600;31.0 4 700 800">cat</points>'
    sizes = [(120, 80)] * 6
    times = (None, *TIMES)  # a picture of the first question, then the frames
    parsed = family.parse_video(raw, times=times, image_size=sizes[-1], images=sizes)
    assert [region.image for region in parsed.regions] == [1, 3, 3, 5]
    assert parsed.regions[0].shape == Point(0.1, 0.2)
    numbers = family.parse('<points coords="2 1 100 200">cat</points>', image_size=sizes[-1], images=sizes)
    assert [region.image for region in numbers.regions] == [1]


def test_places_without_a_frame_lie_on_the_last_one() -> None:
    family = families.get("qwen3_vl")
    raw = '```json\n[{"bbox_2d": [100, 200, 300, 400], "label": "cat"}]\n```'
    sizes = [(120, 80)] * 3
    parsed = family.parse_video(raw, times=(1.0, 2.0, 3.0), image_size=sizes[-1], images=sizes)
    assert [region.image for region in parsed.regions] == [2]


def test_times_that_a_model_writes_as_it_was_shown_them_can_be_jumped_to() -> None:
    family = families.get("qwen3_vl")
    raw = "The cat jumps at <3.5 seconds>, and lands at 4.0 seconds.<|im_end|>"
    text = family.parse(raw, image_size=(120, 80)).text
    assert [moment.seconds for moment in moments(text)] == [3.5, 4.0]
