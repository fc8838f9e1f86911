"""`vlm-app verify`: whether a model works here, on pictures whose truth is known."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from vlm_app.catalog import find
from vlm_app.cli.facts import size
from vlm_app.cli.trial import HIT, LOOKING, READING, TELLING, Trial, first_of, looked, read, told
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.types import Answer, Checkpoint, Runs, Task


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a model did; what it does not do is None.

    `looked_by` is the task by which things were looked for, `found` counts boxes of IoU
    0.5 or more (points: in the right box), `iou` is the mean over what is there, 0 for
    what was not found, and `read` counts signs whose words stand in the text.
    """

    model: str
    date: str
    machine: str
    revision: str
    precision: str
    device: str
    looked_by: str = ""
    drawn: int | None = None
    found: int | None = None
    there: int | None = None
    iou: float | None = None
    read: int | None = None
    signs: int | None = None
    texts: dict[str, str] = field(default_factory=dict)
    tokens_per_second: float = 0.0
    first_token_seconds: float = 0.0
    load_seconds: float = 0.0
    model_bytes: int = 0
    peak_bytes: int = 0


def add(commands: Any) -> None:
    """Its arguments."""
    verify = commands.add_parser(
        "verify", help="ask a model about pictures whose truth is known", description=run.__doc__
    )
    verify.add_argument("model", metavar="MODEL", help="a model of 'vlm-app models'")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    verify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load a model, ask it about drawn pictures with known boxes, and report IoU, text, speed and memory."""
    row = _runnable(arguments.model)
    verdict = verified(row)
    if arguments.json:
        print(json.dumps(asdict(verdict), ensure_ascii=False))
    else:
        print(_told(row, verdict))
    return 0


def verified(row: Checkpoint) -> Verdict:
    """Ask the model what it can do of describing, looking for things, and reading."""
    from vlm_app.engine import engine, peak_bytes

    telling, looking, reading = (first_of(tasks, row) for tasks in (TELLING, LOOKING, READING))
    trials: list[Trial] = []
    facts: dict[str, Any] = {}
    if telling:
        trials.append(told(row, telling))
    if looking:
        trials.append(looked(row, looking))
        facts |= _looking(trials[-1])
    if reading:
        trials.append(read(row, reading))
        facts |= {"read": trials[-1].found, "signs": len(trials[-1].truth)}
    state = engine().state(row.id)
    return Verdict(
        model=row.id,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        revision=find(row.id).revision,
        precision=state.precision,
        device=state.device,
        texts={trial.task.value: trial.text for trial in trials},
        model_bytes=state.bytes,
        peak_bytes=peak_bytes(state.device),
        **facts,
        **_speed([answer for trial in trials for answer in trial.answers]),
    )


def _looking(trial: Trial) -> dict[str, Any]:
    mean = round(sum(trial.shares) / len(trial.truth), 3)
    return {
        "looked_by": trial.task.value,
        "drawn": len(trial.regions),
        "found": trial.found,
        "there": len(trial.truth),
        "iou": None if trial.task is Task.POINT else mean,
    }


def _runnable(id: str) -> Checkpoint:
    try:
        row = find(id)
    except ModelUnavailable as error:
        raise BadInput(error.sentence) from None
    if row.runs is Runs.PACKAGE:
        raise BadInput(
            f"{row.name} has no weights to verify: it comes with its package, and 'python -m benchmarks.ocr' "
            "measures it; choose a model that runs in process."
        )
    if row.runs is not Runs.IN_PROCESS:
        raise BadInput(
            f"{row.name} does not run in this app ({row.runs}), so that there is nothing to verify: choose a "
            "model that runs in process."
        )
    return row


def _speed(answers: Sequence[Answer]) -> dict[str, Any]:
    """Seconds and tokens per second; the model was loaded for the first answer."""
    if not answers:
        return {}
    seconds = sum(answer.timings.total - answer.timings.first_token for answer in answers)
    tokens = sum(max(answer.usage.completion_tokens - 1, 0) for answer in answers)
    first = answers[-1].timings
    return {
        "tokens_per_second": round(tokens / seconds, 1) if seconds > 0 else 0.0,
        "first_token_seconds": round(first.first_token - first.load, 3),
        "load_seconds": round(answers[0].timings.load, 2),
    }


# --- in words -----------------------------------------------------------------------------


def _told(row: Checkpoint, verdict: Verdict) -> str:
    lines = [
        f"{row.name}, {verdict.date}, {verdict.machine}, {verdict.device}, {verdict.precision}",
        f"  found   {_found(verdict)}",
    ]
    if verdict.read is not None:
        lines.append(f"  read    {verdict.read} of {verdict.signs} signs")
    lines += [f"  {task:7} {' '.join(text.split()) or '(empty)'}" for task, text in verdict.texts.items()]
    lines.append(
        f"  speed   {verdict.tokens_per_second} tokens per second, first token after "
        f"{verdict.first_token_seconds} s, loaded in {verdict.load_seconds} s"
    )
    lines.append(f"  memory  {size(verdict.model_bytes)} of weights, {size(verdict.peak_bytes)} at the most")
    return "\n".join(lines)


def _found(verdict: Verdict) -> str:
    if verdict.found is None:
        return "it draws neither boxes nor points: only its text can be looked at"
    how = f"{verdict.found} of {verdict.there}, one asked for at a time"
    if verdict.iou is None:
        return f"{how}, {verdict.drawn} points drawn"
    return f"{how}, at IoU {HIT}; {verdict.drawn} boxes drawn, mean IoU {verdict.iou}"
