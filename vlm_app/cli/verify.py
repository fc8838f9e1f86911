"""`vlm-app verify`: whether a model works here, on a picture whose truth is known."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from vlm_app.catalog import find
from vlm_app.cli.facts import size
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.types import Answer, Box, Checkpoint, Picture, Region, Request, Role, Runs, Sampling, Task, Turn

_HIT = 0.5  # the least IoU of a box that counts as found, as in COCO's AP50
_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Truth:
    """Something in the picture: what it is called, and where it is."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a model did; `iou` is the mean over what is there (0 if not found), None for a model without boxes."""

    model: str
    date: str
    machine: str
    revision: str
    precision: str
    device: str
    boxes: int | None  # how many it drew
    found: int | None  # how many of what is there, at IoU 0.5 or more
    there: int
    iou: float | None
    texts: dict[str, str] = field(default_factory=dict)
    tokens_per_second: float = 0.0
    first_token_seconds: float = 0.0
    load_seconds: float = 0.0
    model_bytes: int = 0
    peak_bytes: int = 0


def add(commands: Any) -> None:
    """Its arguments."""
    verify = commands.add_parser(
        "verify", help="ask a model about a picture whose truth is known", description=run.__doc__
    )
    verify.add_argument("model", metavar="MODEL", help="a model of 'vlm-app models'")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load a model, ask it about a drawn picture with known boxes, and report IoU, text, speed and memory."""
    row = _runnable(arguments.model)
    verdict = verified(row)
    if arguments.json:
        print(json.dumps(asdict(verdict), ensure_ascii=False))
    else:
        print(_told(row, verdict))
    return 0


def verified(row: Checkpoint) -> Verdict:
    """Ask the model what it can do of describing and detecting."""
    from vlm_app.engine import engine

    picture, truth = _picture()
    detecting = next((task for task in (Task.DETECT, Task.GROUND) if task in row.tasks), None)
    telling = next((task for task in (Task.CAPTION, Task.CHAT, Task.OCR) if task in row.tasks), None)
    query = ", ".join(dict.fromkeys(thing.label for thing in truth))
    answers = {task: _asked(row, picture, task, query) for task in (telling, detecting) if task}
    regions = answers[detecting].regions if detecting else ()
    shares = overlaps(regions, truth) if detecting else []
    state = engine().state(row.id)
    return Verdict(
        model=row.id,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        revision=find(row.id).revision,
        precision=state.precision,
        device=state.device,
        boxes=len(regions) if detecting else None,
        found=sum(share >= _HIT for share in shares) if detecting else None,
        there=len(truth),
        iou=round(sum(shares) / len(truth), 3) if detecting else None,
        texts={task.value: answer.text for task, answer in answers.items()},
        model_bytes=state.bytes,
        peak_bytes=_peak(),
        **_speed(list(answers.values())),
    )


def overlaps(regions: Sequence[Region], truth: Sequence[Truth]) -> list[float]:
    """For each thing that is there, the IoU of the region that names it and was paired with it; 0 for none.

    A region counts for a thing whose name it holds, or that holds its name: a model may
    say 'circle' of the red circle.
    """
    from vlm_app.grounding import iou, match

    shares = [0.0] * len(truth)
    for name in dict.fromkeys(thing.label for thing in truth):
        there = [index for index, thing in enumerate(truth) if thing.label == name]
        named = [region for region in regions if _same(region.label, name)]
        pairs = match([region.shape for region in named], [truth[index].box for index in there], 0.01)
        for one, other in pairs:
            shares[there[other]] = iou(named[one].shape, truth[there[other]].box)
    return shares


def _same(said: str, name: str) -> bool:
    said = " ".join(word for word in said.casefold().split() if word not in ("a", "an", "the"))
    return bool(said) and (name in said or said in name)


def _picture() -> tuple[Picture, tuple[Truth, ...]]:
    """The first example of the page, drawn anew, with what is in it."""
    from vlm_app.media import picture_from
    from vlm_app.pebble.examples import scenes

    scene = scenes()["shapes"]
    return picture_from(scene.image), tuple(Truth(thing.name, Box(*thing.box)) for thing in scene.things)


def _asked(row: Checkpoint, picture: Picture, task: Task, query: str) -> Answer:
    from vlm_app.engine import engine

    words = ("What is in this image?",) if task is Task.CHAT else ()
    request = Request(
        (Turn(Role.USER, (picture, *words)),),
        row.id,
        task=task,
        query=query if task in (Task.DETECT, Task.GROUND) else "",
        sampling=Sampling(max_tokens=_TOKENS),
    )
    *_, last = engine().answer(request)
    assert last.answer is not None, "a stream of the engine ends with its answer"
    return last.answer


def _runnable(id: str) -> Checkpoint:
    try:
        row = find(id)
    except ModelUnavailable as error:
        raise BadInput(error.sentence) from None
    if row.runs is not Runs.IN_PROCESS:
        raise BadInput(
            f"{row.name} does not run in this app ({row.runs}), so that there is nothing to verify: choose a "
            "model that runs in process."
        )
    return row


def _speed(answers: Sequence[Answer]) -> dict[str, float]:
    """Seconds and tokens per second; the model was loaded for the first answer."""
    seconds = sum(answer.timings.total - answer.timings.first_token for answer in answers)
    tokens = sum(max(answer.usage.completion_tokens - 1, 0) for answer in answers)
    first = answers[-1].timings
    return {
        "tokens_per_second": round(tokens / seconds, 1) if seconds > 0 else 0.0,
        "first_token_seconds": round(first.first_token - first.load, 3),
        "load_seconds": round(answers[0].timings.load, 2),
    }


def _peak() -> int:
    """The most memory that this process has held, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _told(row: Checkpoint, verdict: Verdict) -> str:
    lines = [f"{row.name}, {verdict.date}, {verdict.machine}, {verdict.device}, {verdict.precision}"]
    if verdict.iou is None:
        lines.append("  boxes   it draws none: only its text can be looked at")
    else:
        lines.append(
            f"  boxes   {verdict.found} of {verdict.there} found at IoU {_HIT}, {verdict.boxes} drawn, "
            f"mean IoU {verdict.iou}"
        )
    lines += [f"  {task:7} {' '.join(text.split()) or '(empty)'}" for task, text in verdict.texts.items()]
    lines.append(
        f"  speed   {verdict.tokens_per_second} tokens per second, first token after "
        f"{verdict.first_token_seconds} s, loaded in {verdict.load_seconds} s"
    )
    lines.append(f"  memory  {size(verdict.model_bytes)} of weights, {size(verdict.peak_bytes)} at the most")
    return "\n".join(lines)
