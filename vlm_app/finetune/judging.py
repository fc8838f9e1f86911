"""What the held-out examples were answered without the adapter and with it, and what that says.

`answers.jsonl` of a run's folder, one example a line, version 1:

    {"version": 1, "example": 3,                       its place among the held-out ones, from 0
     "key": "9f2c…",                                   its digest
     "before": {"text": "", "regions": []},            by the base alone, as an example's `rejected`
     "after": {"text": "heart", "regions": […]},       with the adapter
     "right": [-12.1, -3.4], "wrong": [-9.9, -15.0],   of preferences: how likely these answers are, in nats
     "left": ""}                                       why it was not answered

Training writes it in `vlm_app.finetune.training.examining`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.helped import Verdict, helped
from vlm_app.finetune.lines import append_line, whole_lines
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.finetune.scoring import scored
from vlm_app.finetune.spread import JUDGED, spread
from vlm_app.grounding import region_from_dict, region_to_dict

_NOTHING_HELD_OUT = (
    "Nothing was held out, so nobody can tell whether it helped: hold out a share of the images next time."
)
_CHOSEN = "The same examples said which checkpoint was the best one, so on others it may do a little worse."


class Line(BaseModel):
    """One line of `answers.jsonl`, as the module says. `left` is empty for an example that was answered."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    example: int
    key: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    right: tuple[float, float] | None = None
    wrong: tuple[float, float] | None = None
    left: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """A held-out example beside what was answered before and after; `key` is its digest."""

    example: Example
    before: Reply
    after: Reply
    key: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a run helped. `note` says what the figures leave out, or what else can be said."""

    verdict: Verdict
    sides: tuple[Side, ...]
    note: str = ""

    @property
    def sentence(self) -> str:
        """What a person is told first: the tasks that changed, 'No measurable change', or why neither."""
        return " ".join(filter(None, [self.verdict.sentence if self.sides else "", self.note]))


def judged(folder: RunFolder) -> Judged | None:
    """What came of a run; None while its held-out examples are not all answered.

    Raises `BadInput` where its files are damaged or of another version.
    """
    if not folder.answers.exists():
        return None
    examples = folder.examples("held_out")
    lines = _lines(folder, len(examples))
    if lines is None:
        return None
    stat = folder.answers.stat()
    verdict = _verdict(folder.path, stat.st_mtime_ns, stat.st_size)
    return Judged(verdict, _sides(examples, lines), _note(lines, len(examples), folder.config))


def asked(held_out: int) -> list[int]:
    """The places of the held-out examples that are answered: `JUDGED` of them at most, evenly spread."""
    return spread(range(held_out), JUDGED)


# --- the file ---------------------------------------------------------------------------------


def write(folder: RunFolder, line: Line) -> None:
    """Keep what an example was answered. Raises `OSError` on a full disk."""
    append_line(folder.answers, line.model_dump_json().encode())


def begin(folder: RunFolder) -> None:
    """There is a file from now on, though nothing may have been held out."""
    folder.answers.touch()


def read(folder: RunFolder) -> tuple[Line, ...]:
    """The examples that are answered so far. Raises `BadInput` for what is no line of it."""
    found, _ = whole_lines(folder.answers)
    return tuple(_line(each, number) for number, each in enumerate(found, 1))


def _line(text: bytes, number: int) -> Line:
    try:
        return Line.model_validate_json(text)
    except ValidationError as error:
        with suppress(ValueError):
            version = dict(json.loads(text)).get("version")
            if version not in (None, 1):
                raise BadInput(
                    f"Line {number} of 'answers.jsonl' of this run has version {version}, and this app "
                    "reads version 1: use the app that wrote it."
                ) from error
        raise _damaged(number) from error


def _damaged(number: int) -> BadInput:
    return BadInput(
        f"Line {number} of 'answers.jsonl' of this run is damaged: delete the file and resume the run, or "
        "start it again."
    )


def as_dict(reply: Reply) -> dict[str, Any]:
    """An answer as a line has it."""
    return {"text": reply.text, "regions": [region_to_dict(region) for region in reply.regions]}


def _side(example: Example, line: Line) -> Side:
    try:
        before, after = (
            Reply(str(each["text"]), tuple(region_from_dict(region) for region in each["regions"]))
            for each in (line.before or {}, line.after or {})
        )
    except (BadInput, ValueError, KeyError, TypeError) as error:
        raise _damaged(line.example + 1) from error
    return Side(example, before, after, line.key)


# --- what it says -----------------------------------------------------------------------------


def _lines(folder: RunFolder, held_out: int) -> list[Line] | None:
    """What is answered, in the order of the examples; None while some are not."""
    found = {line.example: line for line in read(folder)}
    places = asked(held_out)
    return [found[place] for place in places] if found.keys() >= set(places) else None


def _sides(examples: Sequence[Example], lines: Sequence[Line]) -> tuple[Side, ...]:
    return tuple(_side(examples[line.example], line) for line in lines if line.before and line.after)


@lru_cache(maxsize=32)
def _verdict(path: Path, changed: int, size: int) -> Verdict:
    """Kept by when the file was changed: the intervals can take a second, and a page asks again and again."""
    folder = RunFolder(path)
    examples = folder.examples("held_out")
    sides = _sides(examples, _lines(folder, len(examples)) or ())
    before = [scored(side.example, side.before) for side in sides]
    after = [scored(side.example, side.after) for side in sides]
    return helped(before, after, seed=folder.config.seed)


def _note(lines: Sequence[Line], held_out: int, config: RunConfig) -> str:
    """What is left out, and what preferences say."""
    if not held_out:
        return _NOTHING_HELD_OUT
    notes = [_preferred(lines), _less_likely(lines), _CHOSEN if config.patience else ""]
    if held_out > len(lines):
        notes.append(f"{len(lines)} of {held_out:,} held-out examples were answered, evenly spread.")
    left = [line.left for line in lines if line.left]
    if left:
        of = f"{len(left)} of {len(lines)} held-out example{'s' * (len(lines) != 1)}"
        was = "is" if len(left) == 1 else "are"
        first = "" if len(left) == 1 else ", the first one"
        notes.append(f"{of} {was} not compared{first} for this reason: {left[0]}")
    return " ".join(filter(None, notes))


def _preferred(lines: Sequence[Line]) -> str:
    """How often the right answer is likelier than the wrong one."""
    pairs = [(line.right, line.wrong) for line in lines if line.right and line.wrong]
    if not pairs:
        return ""
    before, after = (sum(right[side] > wrong[side] for right, wrong in pairs) for side in (0, 1))
    number = f"{len(pairs)} held-out pair{'s' * (len(pairs) != 1)}"
    return f"The right answer is the likelier one in {before} of {number} before and in {after} after."


def _less_likely(lines: Sequence[Line]) -> str:
    """Of wrong answers without a right one, how many are given up."""
    wrong = [line.wrong for line in lines if line.wrong and not line.right]
    if not wrong:
        return ""
    fell = sum(after < before for before, after in wrong)
    answers = f"{len(wrong)} wrong answer{'s' * (len(wrong) != 1)}"
    return f"Of {answers} without a right one, {fell} {'is' if fell == 1 else 'are'} less likely than before."
