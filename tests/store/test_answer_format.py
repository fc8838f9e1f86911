"""An answer comes back from the store as it was given."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from vlm_app.errors import BadInput
from vlm_app.store import answer_from_dict, answer_to_dict
from vlm_app.types import (
    Answer,
    Box,
    Finish,
    Mask,
    Point,
    Polygon,
    Region,
    Seen,
    Task,
    Timings,
    Usage,
)

FULL = Answer(
    text="a red circle, a star",
    regions=(
        Region("red circle", Box(0.1, 0.2, 0.3, 0.4), image=1, score=0.5, span=(2, 12)),
        Region("star", Point(0.25, 0.75), text="★", span=(16, 20)),
        Region("area", Polygon((Point(0, 0), Point(1, 0), Point(0.5, 1)))),
        Region("mask", Mask(Box(0, 0, 1, 1), (3, 2), b"\0\1\1\0\0\1")),
    ),
    raw="a <ref>red circle<loc_1>…",
    prompt="<|im_start|>User:<image>Detect everything.",
    task=Task.DETECT,
    seen=Seen((256, 256), 1, 64, "0–255 of the image, x first", "a note"),
    usage=Usage(80, 12),
    timings=Timings(0.5, 0.25, 1.5),
    finish=Finish.FAILED,
    model="pebble",
    precision="bf16",
    adapter="mine",
    error="It could not finish.",
)


@pytest.mark.parametrize("answer", [FULL, Answer("")])
def test_an_answer_survives_json(answer: Answer) -> None:
    assert answer_from_dict(json.loads(json.dumps(answer_to_dict(answer)))) == answer


def test_the_format_says_its_version() -> None:
    assert answer_to_dict(FULL)["version"] == 1
    with pytest.raises(ValidationError, match="version"):
        answer_from_dict({**answer_to_dict(FULL), "version": 2})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"finish": "perhaps"}, "finish"),
        ({"text": None}, "text"),
        ({"seen": {"size": [1, 2, 3]}}, "seen"),
        ({"regions": [{"label": "x", "kind": "box", "box": [0, 0, 1, 1], "span": [5, 900]}]}, "900"),
        ({"regions": "all of them"}, "regions"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        answer_from_dict({**answer_to_dict(FULL), **change})


def test_a_region_off_the_image_is_refused() -> None:
    outside = {"label": "x", "kind": "box", "box": [0, 0, 1, 7]}
    with pytest.raises((ValueError, BadInput), match="7"):
        answer_from_dict({**answer_to_dict(FULL), "regions": [outside]})
