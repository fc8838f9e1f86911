"""How right an answer is, by task, and how right many are.

Each figure is a ratio, of one example and of many: the tops and the bottoms are added up, so that a
scene of ten things counts ten times in a detection score (micro average). An answer that cannot be
read counts as wrong and is counted as such.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vlm_app.errors import BadInput
from vlm_app.finetune import place_scores
from vlm_app.finetune.bootstrap import Estimate, estimates
from vlm_app.finetune.counting import count_of
from vlm_app.finetune.examples import Example, Reply, digest
from vlm_app.finetune.text_scores import edits, line, same, similarity
from vlm_app.types import Task

_NOTHING = re.compile(r"\A\W*\Z|\b(?:no|none|nothing|not|zero)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Figure:
    """What a figure is called, how it is reckoned, and which way is better."""

    title: str
    rule: str
    lower: bool = False  # whether less of it is better
    share: bool = True  # a share of 1, told in points of a hundred; else a number of things


FIGURES: Mapping[str, Figure] = {
    "exact_match": Figure("Exact match", "the same words, but for case, spaces and a stop at the end"),
    "edit_similarity": Figure("Edit similarity", "1 − Levenshtein distance / letters of the longer text"),
    "cer": Figure("Character error rate", "Levenshtein distance / letters of the true text", lower=True),
    "f1": Figure("F1", "regions of one label with an IoU of 0.5 or more, or points inside what they name"),
    "mean_iou": Figure("Mean IoU", "the mean overlap of the regions that were found"),
    "count_accuracy": Figure("Count accuracy", "the share of counts that are exactly right"),
    "count_error": Figure("Count error", "the mean distance from the true count", lower=True, share=False),
}
# The figure that stands for a task.
HEADLINES: Mapping[Task, str] = {
    Task.CHAT: "edit_similarity",
    Task.CAPTION: "edit_similarity",
    Task.DESCRIBE_REGION: "edit_similarity",
    Task.DETECT: "f1",
    Task.GROUND: "f1",
    Task.SEGMENT: "f1",
    Task.POINT: "f1",
    Task.COUNT: "count_accuracy",
    Task.OCR: "cer",
    Task.OCR_REGIONS: "f1",
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of one example: what is added up over many, above and below the line."""

    top: float
    bottom: float

    @property
    def value(self) -> float | None:
        """None where there was nothing to find and nothing was found."""
        return self.top / self.bottom if self.bottom else None


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer's figures. `key` is the example's digest, `image` names its picture."""

    key: str
    image: str
    task: Task
    ratios: Mapping[str, Ratio]
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class TaskScores:
    """The figures of a task over its examples, with intervals; `unreadable` answers are among them."""

    task: Task
    examples: int
    images: int
    unreadable: int
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of each task."""

    tasks: Mapping[Task, TaskScores]

    @classmethod
    def of(cls, scored: Iterable[Scored], *, seed: int = 0) -> Scores:
        """The scores of many answers; intervals hold 95 % over images drawn anew."""
        by_task = defaultdict[Task, list[Scored]](list)
        for one in scored:
            by_task[one.task].append(one)
        return cls({task: _task_scores(task, by_task[task], seed) for task in Task if task in by_task})

    def flat(self) -> dict[str, float]:
        """The values by 'task figure', as events and cards have them."""
        return {
            f"{task.value} {name}": figure.value
            for task, scores in self.tasks.items()
            for name, figure in scores.figures.items()
        }


def score(example: Example, answer: Reply) -> dict[str, float]:
    """The figures of one answer; one of which there is nothing to say is left out."""
    ratios = scored(example, answer).ratios
    return {name: value for name, ratio in ratios.items() if (value := ratio.value) is not None}


def scored(example: Example, answer: Reply) -> Scored:
    """An answer to an example, compared with the right one. Raises `BadInput` where none is known."""
    truth = example.chosen
    if truth is None:
        raise BadInput("This example has no right answer to compare with: leave it out.")
    ratios = _RULES[example.task](example, truth, answer)
    unreadable = _unreadable(example.task, truth, answer)
    if unreadable and "f1" in ratios and not truth.regions:
        ratios["f1"] = Ratio(0, 1)  # that nothing is there was not said either
    return Scored(digest(example), example.pictures[-1].sha256, example.task, ratios, unreadable)


# --- the rules of the tasks -------------------------------------------------------------------


def _words(example: Example, truth: Reply, answer: Reply) -> dict[str, Ratio]:
    ratios = {
        "exact_match": Ratio(float(same(answer.text, truth.text)), 1),
        "edit_similarity": Ratio(similarity(answer.text, truth.text), 1),
    }
    return ratios | (_regions(truth, answer, labelled=True) if truth.regions else {})


def _reading(example: Example, truth: Reply, answer: Reply) -> dict[str, Ratio]:
    found, wanted = line(answer.text), line(truth.text)
    return _words(example, Reply(truth.text), answer) | {"cer": _misread(found, wanted)}


def _reading_places(example: Example, truth: Reply, answer: Reply) -> dict[str, Ratio]:
    """Places by themselves, and what was read by itself, line by line as given."""
    found, wanted = (
        line(" ".join(one.text or one.label for one in reply.regions) or reply.text)
        for reply in (answer, truth)
    )
    return _regions(truth, answer, labelled=False) | {"cer": _misread(found, wanted)}


def _misread(found: str, wanted: str) -> Ratio:
    """Of a page without text all that was read is wrong, and nothing read is one thing that is right."""
    return Ratio(edits(found, wanted), len(wanted) or max(len(found), 1))


def _places(example: Example, truth: Reply, answer: Reply) -> dict[str, Ratio]:
    return _regions(truth, answer, labelled=_labelled(example))


def _points(example: Example, truth: Reply, answer: Reply) -> dict[str, Ratio]:
    hits = place_scores.hits(answer.regions, truth.regions, _labelled(example))
    return {"f1": Ratio(2 * hits, len(answer.regions) + len(truth.regions))}


def _counts(example: Example, truth: Reply, answer: Reply) -> dict[str, Ratio]:
    wanted, found = (count_of(reply.text, reply.regions) for reply in (truth, answer))
    if wanted is None and truth.text.strip():  # 'many': it says no number
        return _words(example, truth, answer)
    wanted = wanted or 0
    ratios = {"count_accuracy": Ratio(float(found == wanted), 1)}
    return ratios | ({} if found is None else {"count_error": Ratio(abs(found - wanted), 1)})


_RULES: Mapping[Task, Callable[[Example, Reply, Reply], dict[str, Ratio]]] = {
    Task.CHAT: _words,
    Task.CAPTION: _words,
    Task.DESCRIBE_REGION: lambda example, truth, answer: _words(example, Reply(truth.text), answer),
    Task.DETECT: _places,
    Task.GROUND: _places,
    Task.SEGMENT: _places,
    Task.POINT: _points,
    Task.COUNT: _counts,
    Task.OCR: _reading,
    Task.OCR_REGIONS: _reading_places,
}


def _regions(truth: Reply, answer: Reply, *, labelled: bool) -> dict[str, Ratio]:
    overlaps = place_scores.overlaps(answer.regions, truth.regions, labelled)
    return {
        "f1": Ratio(2 * len(overlaps), len(answer.regions) + len(truth.regions)),
        "mean_iou": Ratio(sum(overlaps), len(overlaps)),
    }


def _labelled(example: Example) -> bool:
    """Whether labels are compared: of one kind of thing that was asked for, whatever is found is meant."""
    if example.task in (Task.GROUND, Task.SEGMENT):
        return False
    return len([part for part in re.split("[,;]", example.query) if part.strip()]) != 1


def _unreadable(task: Task, truth: Reply, answer: Reply) -> bool:
    """Whether an answer says nothing of what was asked, in a form that could be read."""
    if task is Task.COUNT and (not truth.text.strip() or count_of(truth.text, truth.regions) is not None):
        return count_of(answer.text, answer.regions) is None
    if task in (Task.DETECT, Task.GROUND, Task.SEGMENT, Task.POINT, Task.OCR_REGIONS):
        return not answer.regions and _NOTHING.search(answer.text) is None
    return bool(truth.text.strip()) and not answer.text.strip()


def _task_scores(task: Task, scored: Sequence[Scored], seed: int) -> TaskScores:
    images = [one.image for one in scored]
    names = [name for name in FIGURES if any(name in one.ratios for one in scored)]
    columns = {
        name: [(ratio.top, ratio.bottom) for ratio in (one.ratios.get(name, _EMPTY) for one in scored)]
        for name in names
    }
    return TaskScores(
        task=task,
        examples=len(scored),
        images=len(set(images)),
        unreadable=sum(one.unreadable for one in scored),
        figures=estimates(columns, images, seed=seed),
    )


_EMPTY = Ratio(0.0, 0.0)
