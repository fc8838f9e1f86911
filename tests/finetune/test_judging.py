"""Whether a run helped: what its held-out examples were answered, kept, gone on with, and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.runs import example
from tests.finetune.teaching import QUIET
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.finetune import judging
from vlm_app.finetune.events import Answered, Event
from vlm_app.finetune.examples import Example, Reply, digest
from vlm_app.finetune.helped import Outcome
from vlm_app.finetune.judging import Line, as_dict, asked, judged
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import Data, RunFolder
from vlm_app.store.images import ImageFolder
from vlm_app.types import Task

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]
NOTHING = Reply("")


def folder(path: Path, held_out: Sequence[Example], **settings: Any) -> RunFolder:
    """A run's folder with these held-out examples."""
    path.mkdir(parents=True)
    made, images = RunFolder(path), ImageFolder(path.parent / "images")
    for each in held_out:
        images.write(each.pictures[0])
    made.write_config(RunConfig.model_validate(settings))
    made.write_data(Data(name="Shapes", held_out=len(held_out)))
    made.write_examples("held_out", held_out, images)
    return made


def true(one: Example) -> Reply:
    assert one.chosen is not None
    return one.chosen


def answers(made: RunFolder, before: Callable[[Example], Reply], after: Callable[[Example], Reply]) -> None:
    judging.begin(made)
    for place, one in enumerate(made.examples("held_out")):
        line = Line(example=place, key=digest(one), before=as_dict(before(one)), after=as_dict(after(one)))
        judging.write(made, line)


def pair(number: int, *, right: bool = True) -> Example:
    one = example(number)
    wrong = Reply(f"a square, number {number}")
    return Example(
        one.pictures, Task.CHAT, "What is it?", f"heart {number}" if right else None, rejected=wrong
    )


# --- what it says -----------------------------------------------------------------------------


def test_a_gain_on_the_held_out_images_is_told_with_the_examples_that_got_better(tmp_path: Path) -> None:
    held_out = [example(number) for number in range(8)]
    made = folder(tmp_path / "run", held_out)
    answers(made, lambda one: NOTHING, true)
    found = judged(made)
    assert found and found.sentence == "detect better by 100.0 points (100.0 to 100.0)."
    assert [side.key for side in found.sides] == [digest(one) for one in held_out]
    assert found.sides[3].after == held_out[3].chosen and found.sides[3].before == NOTHING
    assert {move.key for move in found.verdict.better} == {side.key for side in found.sides}


def test_figures_of_examples_that_also_chose_the_checkpoint_say_so(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", [example(number) for number in range(8)], patience=2)
    answers(made, lambda one: NOTHING, true)
    found = judged(made)
    assert found and "The same examples said which checkpoint was the best one" in found.sentence


def test_no_measurable_change_is_said_in_those_words(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", [example(number) for number in range(8)])
    answers(made, true, true)
    found = judged(made)
    assert found and found.sentence == "No measurable change." and found.verdict.outcome is Outcome.SAME


def test_a_run_that_is_not_wholly_scored_says_nothing_yet(tmp_path: Path) -> None:
    held_out = [example(number) for number in range(3)]
    made = folder(tmp_path / "run", held_out)
    assert judged(made) is None
    for place in (2, 0):
        judging.write(made, Line(example=place, before=as_dict(NOTHING), after=as_dict(NOTHING)))
        assert judged(made) is None
    with made.answers.open("a") as file:
        file.write('{"version": 1, "exam')  # as a kill leaves it
    assert judged(made) is None
    judging.write(made, Line(example=1, before=as_dict(NOTHING), after=as_dict(NOTHING)))
    found = judged(made)
    assert found and [side.example for side in found.sides] == held_out


def test_nothing_held_out_is_said_and_is_no_change_neither(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", [])
    judging.begin(made)
    found = judged(made)
    assert found and found.sides == () and found.sentence.startswith("Nothing was held out, so nobody can")


def test_what_is_not_compared_is_counted_with_the_reason(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", [example(0), pair(1, right=False)])
    judging.write(made, Line(example=0, before=as_dict(NOTHING), after=as_dict(NOTHING)))
    judging.write(made, Line(example=1, left="It has no right answer to compare with."))
    found = judged(made)
    assert found and len(found.sides) == 1
    assert found.sentence == (
        "No measurable change. 1 of 2 held-out examples is not compared for this reason: It has no right "
        "answer to compare with."
    )


def test_preferences_say_how_often_the_right_answer_is_likelier(tmp_path: Path) -> None:
    made = folder(tmp_path / "run", [pair(0), pair(1), pair(2, right=False)], stage="preference")
    for place, right in enumerate([(-9.0, -2.0), (-3.0, -2.0)]):
        reply = as_dict(true(pair(place)))
        judging.write(made, Line(example=place, before=reply, after=reply, right=right, wrong=(-5.0, -8.0)))
    judging.write(made, Line(example=2, wrong=(-5.0, -8.0)))
    found = judged(made)
    assert found and found.note == (
        "The right answer is the likelier one in 1 of 2 held-out pairs before and in 2 after. "
        "Of 1 wrong answer without a right one, 1 is less likely than before."
    )


def test_of_very_many_held_out_examples_some_are_asked_evenly_spread() -> None:
    assert asked(3) == [0, 1, 2] and asked(0) == []
    many = asked(10_000)
    assert len(many) == judging.JUDGED == 400 and many[:2] == [0, 25] and many[-1] == 9975


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"version": 2, "example": 0}', "has version 2, and this app reads version 1"),
        ("[]", "Line 1 of 'answers.jsonl' of this run is damaged"),
        ('{"version": 1, "example": 0, "before": {"text": 1}, "after": {"regions": 2}}', "is damaged"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    made = folder(tmp_path / "run", [example(0)])
    made.answers.write_text(line + "\n")
    with pytest.raises(BadInput, match=sentence):
        judged(made)


# --- answering, with Pebble -------------------------------------------------------------------


@pytest.fixture(scope="module")
def pebble() -> LoadedModel:
    from vlm_app import catalog
    from vlm_app.engine.loading import load_checkpoint

    return load_checkpoint(catalog.find("pebble"), "fp32")


def adapter(made: RunFolder, loaded: LoadedModel, size: float = 2.0) -> None:
    """An adapter that changes answers at random."""
    import torch

    from vlm_app.finetune.training.course import _bare, adapted, save

    model = adapted(loaded, made.config)
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=size)
    save(model, made.adapter)
    _bare(loaded, model)


def test_scoring_goes_on_where_it_was_stopped_and_leaves_the_base_as_it_was(
    tmp_path: Path, pebble: LoadedModel
) -> None:
    from vlm_app.finetune.training.answering import answer
    from vlm_app.finetune.training.examining import examine

    held_out = [example(number) for number in range(4)]
    made = folder(tmp_path / "run", held_out, rank=4)
    base = [answer(pebble, one, None) for one in held_out]
    adapter(made, pebble)
    told: list[Event] = []
    asked_before = iter([False, False, True])
    assert not examine(made, pebble, told.append, lambda: next(asked_before))
    assert [(event.done, event.of) for event in told if isinstance(event, Answered)] == [
        (0, 4),
        (1, 4),
        (2, 4),
    ]
    first = made.answers.read_bytes()
    assert judged(made) is None
    told.clear()
    assert examine(made, pebble, told.append, lambda: False)
    assert made.answers.read_bytes().startswith(first), "what was answered is not answered again"
    left = [event.seconds_left for event in told if isinstance(event, Answered)]
    assert left[0] is None and left[-1] == 0
    found = judged(made)
    assert found and [side.before for side in found.sides] == base
    assert [side.after for side in found.sides] != base, "the adapter answers otherwise"
    assert answer(pebble, held_out[0], None) == base[0] and pebble.adapter is None
    assert examine(made, pebble, told.append, lambda: True), "nothing is left to stop"


def test_preferences_are_scored_by_likelihood_too(tmp_path: Path, pebble: LoadedModel) -> None:
    from vlm_app.finetune.training.answering import likelihood
    from vlm_app.finetune.training.examining import examine

    held_out = [pair(0), pair(1, right=False)]
    made = folder(tmp_path / "run", held_out, stage="preference", rank=4)
    adapter(made, pebble)
    assert examine(made, pebble, lambda event: None, lambda: False)
    both, wrong = judging.read(made)
    assert both.right and both.wrong and both.right[0] == pytest.approx(likelihood(pebble, held_out[0], None))
    assert both.right[0] != both.right[1] and both.before and not both.left
    assert wrong.wrong and wrong.right is None and wrong.before is None and not wrong.left
    found = judged(made)
    assert found and "The right answer is the likelier one in" in found.sentence


def test_an_adapter_of_no_numbers_is_a_sentence_at_every_attempt(tmp_path: Path, pebble: LoadedModel) -> None:
    from safetensors.torch import load_file, save_file

    from vlm_app.engine.attaching import WEIGHTS
    from vlm_app.finetune.training.examining import examine

    made = folder(tmp_path / "run", [pair(0)], stage="preference", rank=4)
    adapter(made, pebble)
    weights = made.adapter / WEIGHTS
    save_file({name: value * math.nan for name, value in load_file(weights).items()}, weights)
    for _ in range(2):
        with pytest.raises(
            ModelUnavailable, match="no numbers any more, so the adapter cannot answer: lower"
        ):
            examine(made, pebble, lambda event: None, lambda: False)
    assert judged(made) is None


def test_an_answer_whose_likelihood_is_no_number_is_not_compared_by_it(
    tmp_path: Path, pebble: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vlm_app.finetune.training import examining

    made = folder(tmp_path / "run", [pair(0)], stage="preference", rank=4)
    adapter(made, pebble)
    monkeypatch.setattr(examining, "likelihood", lambda *_, rejected: -math.inf if rejected else -2.0)
    assert examining.examine(made, pebble, lambda event: None, lambda: False)
    (line,) = judging.read(made)
    assert line.right == (-2.0, -2.0) and line.wrong is None and judged(made)


def test_the_likelihood_of_an_answer_is_the_product_of_its_tokens(pebble: LoadedModel) -> None:
    import torch

    from vlm_app.finetune.training.answering import likelihood
    from vlm_app.finetune.training.lessons import lesson

    row = lesson(pebble, pair(0), None, rejected=True).encode()
    with torch.no_grad():
        chances = pebble.model(**row).logits[0, :-1].log_softmax(-1)
    labels = row["labels"][0, 1:]
    kept = labels >= 0
    expected = chances[kept].gather(1, labels[kept, None]).sum()
    assert likelihood(pebble, pair(0), None, rejected=True) == pytest.approx(float(expected), rel=1e-4)


def test_what_has_no_right_answer_is_passed_over_in_a_run_of_answers(
    tmp_path: Path, pebble: LoadedModel
) -> None:
    from vlm_app.finetune.training.examining import examine

    made = folder(tmp_path / "run", [pair(1, right=False)], rank=4)
    adapter(made, pebble)
    assert examine(made, pebble, lambda event: None, lambda: False)
    found = judged(made)
    assert (
        found
        and found.sides == ()
        and found.sentence
        == (
            "1 of 1 held-out example is not compared for this reason: It has no right answer to compare with."
        )
    )
