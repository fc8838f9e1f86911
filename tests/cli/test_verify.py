"""What a model is asked when it is verified, and how its answers are scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import vlm_app.engine
from vlm_app.cli import main, trial, verify
from vlm_app.cli.trial import Truth, inside, overlaps
from vlm_app.engine.manager import ModelState
from vlm_app.types import (
    Answer,
    Box,
    Checkpoint,
    Delta,
    Point,
    Region,
    Request,
    Runs,
    Seen,
    Shape,
    Task,
    Timings,
    Usage,
)

TRUTH = [Truth("red circle", Box(0.1, 0.1, 0.3, 0.3)), Truth("blue square", Box(0.5, 0.5, 0.9, 0.9))]


def region(label: str, shape: Shape) -> Region:
    return Region(label, shape, 0)


class Oracle:
    """An engine whose model knows the pictures."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def answer(self, request: Request) -> Iterator[Delta]:
        self.requests.append(request)
        _, things = trial.shapes()
        regions: list[Region] = []
        text = "LOVE and COLD"
        for thing in things:
            if thing.label == request.query:
                middle = Point((thing.box.x0 + thing.box.x1) / 2, (thing.box.y0 + thing.box.y1) / 2)
                regions.append(region(thing.label, middle if request.task is Task.POINT else thing.box))
        yield Delta(
            answer=Answer(
                text,
                tuple(regions),
                seen=Seen(),
                usage=Usage(100, 11),
                timings=Timings(first_token=1.0, total=3.0),
            )
        )

    def state(self, id: str) -> ModelState:
        return ModelState("ready", "", 5, "bf16", "cpu")


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    engine = Oracle()
    monkeypatch.setattr(vlm_app.engine, "engine", lambda: engine)
    return engine


def row(*tasks: Task) -> Checkpoint:
    return Checkpoint("pebble", "Pebble", "pebble", "/nowhere", frozenset(tasks))


def test_things_are_asked_for_one_at_a_time(oracle: Oracle) -> None:
    verdict = verify.verified(row(Task.CAPTION, Task.CHAT, Task.DETECT, Task.GROUND, Task.OCR))
    asked = [(request.task, request.query) for request in oracle.requests]
    _, things = trial.shapes()
    assert asked == [
        (Task.CAPTION, ""),
        *((Task.DETECT, thing.label) for thing in things),
        (Task.OCR, ""),
    ]
    assert len({thing.label for thing in things}) == len(things) == 3
    assert (verdict.found, verdict.there, verdict.iou, verdict.drawn) == (3, 3, 1.0, 3)
    assert (verdict.read, verdict.signs) == (1, 2)
    assert verdict.tokens_per_second == 5.0 and verdict.first_token_seconds == 1.0
    assert {request.owner for request in oracle.requests} == {None}  # whoever sits at this computer


@pytest.mark.parametrize(
    ("tasks", "looked_by", "found", "iou"),
    [
        ([Task.GROUND], "ground", 3, 1.0),
        ([Task.POINT, Task.CHAT], "point", 3, None),
        ([Task.CHAT], "", None, None),
    ],
)
def test_each_is_asked_as_it_can_answer(
    oracle: Oracle, tasks: list[Task], looked_by: str, found: int | None, iou: float | None
) -> None:
    verdict = verify.verified(row(*tasks))
    assert (verdict.looked_by, verdict.found, verdict.iou) == (looked_by, found, iou)


def test_the_report_can_be_read_and_parsed(oracle: Oracle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "pebble"]) == 0
    said = capsys.readouterr().out
    assert "3 of 3, one asked for at a time, at IoU 0.5; 3 boxes drawn, mean IoU 1.0" in said
    assert "5.0 tokens per second" in said and "5 B" not in said
    assert main(["verify", "pebble", "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {
        "iou",
        "texts",
        "tokens_per_second",
        "model_bytes",
        "peak_bytes",
        "date",
        "machine",
    } <= facts.keys()


@pytest.mark.parametrize(
    ("id", "words"), [("nobody", "no model 'nobody'"), ("gpt-4o", "does not run in this app")]
)
def test_what_cannot_be_verified_is_bad_input(
    id: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", id]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and said.out == ""


def test_pebble_finds_what_is_there() -> None:
    verdict = verify.verified(verify._runnable("pebble"))
    assert verdict.found == verdict.there == 3
    assert verdict.iou is not None and verdict.iou > 0.8
    assert verdict.model_bytes > 10**7 and verdict.tokens_per_second > 0


# --- scoring ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regions", "shares"),
    [
        ([], [0, 0]),
        ([region("red circle", TRUTH[0].box)], [1, 0]),
        ([region("A circle", TRUTH[0].box)], [1, 0]),
        ([region("the blue square here", TRUTH[1].box)], [0, 1]),
        ([region("blue square", TRUTH[0].box)], [0, 0]),  # the wrong thing in the right place
        ([region("red circle", Box(0.1, 0.1, 0.3, 0.2))], [0.5, 0]),
    ],
)
def test_a_box_counts_for_what_it_names(regions: list[Region], shares: list[float]) -> None:
    assert overlaps(regions, TRUTH) == pytest.approx(shares)


def test_a_point_counts_inside_the_box() -> None:
    assert inside([region("red circle", Point(0.2, 0.2)), region("blue square", Point(0.1, 0.1))], TRUTH) == [
        1,
        0,
    ]
    assert inside([region("red circle", TRUTH[0].box)], TRUTH) == [0, 0]


def test_only_what_runs_here_is_verified() -> None:
    assert verify._runnable("pebble").runs is Runs.IN_PROCESS
