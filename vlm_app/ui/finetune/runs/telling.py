"""What the browser draws of a run, as plain data: its curves, and answers to held-out examples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vlm_app.finetune.curves import Curve
from vlm_app.finetune.events import Sampled
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.runs import Run
from vlm_app.finetune.scoring import FIGURES
from vlm_app.grounding import colours, ink, region_from_dict, region_to_dict
from vlm_app.types import Region, Task
from vlm_app.ui.addresses import under_root
from vlm_app.ui.render import TASKS

_DIGITS = 5  # of a number that is drawn
_ASKED = 120  # characters of a question


def curve_data(run: Run, curve: Curve) -> dict[str, Any]:
    """Curves as `assets/finetune-plots.js` draws them: memory in bytes, speed in examples/s."""
    return {
        "id": run.id,
        "name": run.name,
        "steps": run.status.steps,
        "points": [
            [
                point.step, _number(point.loss), _number(point.smooth), _number(point.rate), point.memory,
                _number(point.examples_per_second),
            ]
            for point in curve.points
        ],
        "held": [[each.step, _number(each.loss), each.best] for each in curve.evaluated],
        "scores": _scores(curve),
        "saved": curve.saved,
    }  # fmt: skip


def _scores(curve: Curve) -> dict[str, list[list[Any]]]:
    """The figures of the held-out examples over the steps, by what a person calls them."""
    found: dict[str, list[list[Any]]] = {}
    for each in curve.evaluated:
        for key, value in each.scores.items():
            found.setdefault(_figure(key), []).append([each.step, _number(value)])
    return found


def _figure(key: str) -> str:
    """'Detect: F1' for 'detect f1'."""
    task, _, name = key.partition(" ")
    title = FIGURES[name].title if name in FIGURES else name
    return f"{task_name(task)}: {title}"


def task_name(task: str) -> str:
    """A task as the page calls it."""
    return TASKS[Task(task)] if task in set(Task) else task


def _number(value: float | None) -> float | None:
    """A number that JSON has: none where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")


# --- answers ----------------------------------------------------------------------------------


def samples_data(
    run: Run, samples: Sequence[Sampled], examples: Mapping[int, Example]
) -> list[dict[str, Any]]:
    """The held-out examples that are answered now and then, each with its answers over the steps."""
    answers: dict[int, list[dict[str, Any]]] = {}
    for each in samples:
        told = {"step": each.step, "text": each.text, "regions": regions_data(_regions(each.regions))}
        answers.setdefault(each.example, []).append(told)
    return [
        example_data(run.id, examples[place]) | {"key": f"{run.id}-{place}", "answers": told}
        for place, told in sorted(answers.items())
        if place in examples
    ]


def _regions(data: Iterable[Mapping[str, Any]]) -> list[Region]:
    return [region_from_dict(each) for each in data]


def example_data(run: str, example: Example) -> dict[str, Any]:
    """What an example asks, its last picture, and the right answer where it is known."""
    right = example.chosen
    return {
        "asked": asked(example),
        "picture": picture_data(run, example),
        "right": reply_data(right, len(example.pictures) - 1) if right else None,
    }


def picture_data(run: str, example: Example) -> dict[str, Any]:
    """The last picture of an example, as `<vlm-overlay>` takes it."""
    picture = example.pictures[-1]
    width, height = picture.size
    return {
        "src": under_root(f"/runs/{run}/pictures/{picture.sha256}"),
        "width": width,
        "height": height,
        "name": "",
    }


def reply_data(reply: Reply, image: int) -> dict[str, Any]:
    """An answer, and its regions on one of the pictures."""
    return {
        "text": reply.text,
        "regions": regions_data([each for each in reply.regions if each.image == image]),
    }


def regions_data(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Regions as `<vlm-overlay>` takes them."""
    coloured = zip(regions, colours(regions), strict=True)
    return [
        {
            **region_to_dict(region), "key": f"r{number}", "colour": colour, "ink": ink(colour),
            "maker": "", "edited": False,
        }
        for number, (region, colour) in enumerate(coloured)
    ]  # fmt: skip


def asked(example: Example) -> str:
    """'Detect “heart”'; of a chat its question."""
    query = " ".join(example.query.split())
    short = query if len(query) <= _ASKED else query[: _ASKED - 1] + "…"
    if example.task is Task.CHAT:
        return short
    return f"{TASKS[example.task]} “{short}”" if short else TASKS[example.task]
