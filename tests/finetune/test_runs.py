"""What somebody notices of runs: real processes, with a trainer that only counts its steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.finetune.app import NEEDED, STUB
from tests.finetune.desk import ME, Desk, desk
from tests.finetune.runs import example
from tests.finetune.test_child import soon
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune import fitting, plans
from vlm_app.finetune.events import State, Stepped
from vlm_app.finetune.examples import Reply
from vlm_app.finetune.processes import ACTIVE, end
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.runs import Run, Runs
from vlm_app.store import StoreUnavailable

__all__ = ["desk"]


@pytest.mark.parametrize(
    ("taught", "held", "said"),
    [(8, 2, "8 examples are taught"), (40, 1, "1 example is held out"), (10, 3, ""), (12, 0, "")],
)
def test_too_few_examples_are_warned_of_before_a_run(taught: int, held: int, said: str) -> None:
    assert fitting.too_few(taught, held).startswith(said) and bool(fitting.too_few(taught, held)) == bool(
        said
    )


def steps(run: Run) -> list[int]:
    return [event.step for event in run.folder.events()[0] if isinstance(event, Stepped)]


def test_a_run_learns_from_the_examples_as_they_were_and_survives_a_reload(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_SECONDS", "0.06")
    run = desk.start(steps=60, seed=4)
    assert run.state is State.QUEUED and run.data and run.config == RunConfig(name="Hearts", steps=60, seed=4)
    assert (run.data.name, run.data.train + run.data.held_out) == ("Shapes", 10) and run.data.held_out > 0
    desk.examples.delete_dataset(ME, desk.dataset)
    taught = [*run.folder.examples("train"), *run.folder.examples("held_out")]
    assert sorted(each.pictures[0].pixels.size for each in taught) == [(60, 40)] * 10

    soon(lambda: steps(run))
    assert [state.name for state in desk.engine.models()] == ["training: Hearts"]
    events, then = desk.runs.events(ME, run.id)
    desk.runs.close()  # the app is started again
    desk.runs = Runs(desk.store, desk.engine, STUB)
    desk.runs.drive()
    soon(lambda: desk.state(run) is State.DONE)
    more, _ = desk.runs.events(ME, run.id, then)
    told = [event.step for event in (*events, *more) if isinstance(event, Stepped)]
    assert told == list(range(1, 61)), "nothing is lost, and nothing told twice"
    assert desk.runs.run(ME, run.id).status.step == 60
    soon(lambda: desk.engine.models() == ())


def test_the_same_examples_have_the_same_hash_and_others_another(desk: Desk) -> None:
    first, again = desk.start(steps=1), desk.start(steps=1)
    desk.examples.add(ME, desk.dataset, example(11))
    other = desk.start(steps=1)
    assert first.data and again.data and other.data
    assert first.data.sha256 == again.data.sha256 != other.data.sha256
    for run in (first, again, other):
        soon(lambda run=run: desk.state(run) is State.DONE)


def test_runs_take_turns_and_can_leave_the_line_and_come_back(desk: Desk) -> None:
    first, second, third = (desk.start(name, steps=100_000) for name in ("First", "Second", "Third"))
    soon(lambda: desk.state(first) is State.TRAINING)
    assert desk.runs.stop(ME, second.id).state is State.STOPPED
    assert desk.state(third) is State.QUEUED
    with pytest.raises(BadInput, match="'Third' is queued: only a run that stopped or broke"):
        desk.runs.resume(ME, third.id)
    assert desk.runs.resume(ME, second.id).state is State.QUEUED  # behind the third one
    desk.runs.stop(ME, first.id)
    soon(lambda: desk.state(first) is State.STOPPED)
    soon(lambda: desk.state(third) is State.TRAINING)
    assert desk.state(second) is State.QUEUED and not steps(second)

    with pytest.raises(BadInput, match="'Third' was done and is training now"):
        desk.runs.delete(ME, third.id, State.DONE)
    desk.runs.delete(ME, third.id, State.TRAINING)
    assert [run.name for run in desk.runs.runs(ME)] == ["Second", "First"] and not third.folder.path.exists()
    with pytest.raises(NotFound):
        desk.runs.run(ME, third.id)
    soon(lambda: desk.state(second) is State.TRAINING)
    desk.runs.delete(ME, first.id, State.STOPPED)
    desk.runs.stop(ME, second.id)
    soon(lambda: desk.state(second) is State.STOPPED)


def test_a_killed_trainer_is_noticed_and_resumed_from_its_checkpoint(desk: Desk) -> None:
    run = desk.start(steps=100_000, save_every=5)
    soon(lambda: len(steps(run)) > 6)
    assert end(run.folder, 20)
    soon(lambda: run.folder.status.state is State.BROKEN)
    told = len(steps(run))
    desk.runs.resume(ME, run.id)
    soon(lambda: len(steps(run)) > told)
    assert steps(run)[told] % 5 == 1 and steps(run)[told] > 5
    desk.runs.delete(ME, run.id, desk.state(run))


def test_a_run_waits_for_a_busy_model_and_says_so(desk: Desk) -> None:
    leases = [desk.engine._manager.lease(desk.engine._rows[id]) for id in ("ant", "bee")]
    for lease in leases:
        assert lease.ready(30)
    run = desk.start(steps=3)
    sentence = "Training: Hearts waits for 100 MB: it is next."
    soon(lambda: desk.runs.run(ME, run.id).status.sentence == sentence)
    assert desk.state(run) is State.QUEUED and NEEDED == 100_000_000
    leases[0].release()
    soon(lambda: desk.state(run) is State.DONE)
    leases[1].release()
    assert [state.name for state in desk.engine.models() if state.model] == ["Bee"]  # the idle one left


def test_a_run_that_can_never_have_its_memory_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "needs", lambda *about: plans.Needs(10**12, 0, 0, 0, 1, 0))
    run = desk.start(precision="nf4")
    soon(lambda: desk.state(run) is State.FAILED)
    sentence = desk.runs.run(ME, run.id).status.sentence
    assert "training: Hearts needs 1000.0 GB in nf4, and models can have 250 MB here" in sentence


def test_nobody_sees_or_touches_the_runs_of_others(desk: Desk) -> None:
    run = desk.start(steps=1)
    assert desk.runs.runs("you") == ()
    touching: list[Callable[[], object]] = [
        lambda: desk.runs.run("you", run.id),
        lambda: desk.runs.stop("you", run.id),
        lambda: desk.runs.resume("you", run.id),
        lambda: desk.runs.events("you", run.id),
        lambda: desk.runs.delete("you", run.id, State.QUEUED),
        lambda: desk.runs.start("you", RunConfig(), desk.dataset),
        lambda: desk.runs.plans.estimate("you", RunConfig(), desk.dataset),
        lambda: desk.runs.run(ME, "../" + run.id),
    ]
    for touch in touching:
        with pytest.raises(NotFound):
            touch()
    soon(lambda: desk.state(run) is State.DONE)


def test_a_lost_or_damaged_folder_is_listed_with_a_sentence_and_can_be_deleted(desk: Desk) -> None:
    runs = [desk.start(name, steps=1) for name in ("Lost", "Newer", "Torn")]
    for run in runs:
        soon(lambda run=run: desk.state(run) is State.DONE)
    lost, newer, torn = runs
    shutil.rmtree(lost.folder.path)
    (newer.folder.path / "config.json").write_text('{"version": 7}')
    (torn.folder.path / "status.json").write_text('{"version": 1, "sta')
    sentences = {run.name: run.status.sentence for run in desk.runs.runs(ME)}
    assert "is gone: delete it" in sentences["Lost"]
    assert "'status.json' of this run is damaged" in sentences["Torn"]
    assert "has version 7, and this app reads version 1" in sentences["Newer"]
    with pytest.raises(BadInput, match="version 7"):
        desk.runs.resume(ME, newer.id)
    for run in runs:
        desk.runs.delete(ME, run.id, State.FAILED)
    assert desk.runs.runs(ME) == () and not list((desk.store.data / "runs").glob("*-*"))
    assert not any(state in ACTIVE for state in (run.state for run in desk.runs.runs(ME)))


def test_kto_takes_both_answers_of_an_example_for_its_steps(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []
    monkeypatch.setattr(plans, "needs", lambda config, train, tokens=None: rows.append(train))
    dataset = desk.examples.create(ME, "Other").id
    for number in range(10):
        made = replace(example(number), rejected=Reply("blue square") if number < 5 else None)
        desk.examples.add(ME, dataset, made)
    for how, expected in (("dpo", 4), ("kto", 12)):  # of 5 pairs; of 5 pairs and 5 right answers
        desk.runs.plans.estimate(ME, RunConfig(stage=Stage.PREFERENCE, preference=how), dataset)
        assert rows.pop() == expected, how


@pytest.mark.parametrize(
    ("stage", "preference", "wrong", "right", "found"),
    [
        ("preference", "dpo", False, True, "pairs of a right and a wrong answer"),
        ("preference", "dpo", True, False, "pairs of a right and a wrong answer"),
        ("instruction", "dpo", True, False, "wrong answers only"),
        ("instruction", "dpo", True, True, None),
        ("preference", "kto", True, False, None),
        ("preference", "dpo", True, True, None),
    ],
)
def test_a_run_that_could_learn_from_no_example_does_not_start(
    desk: Desk, stage: Any, preference: Any, wrong: bool, right: bool, found: str | None
) -> None:
    dataset = desk.examples.create(ME, "Other").id
    for number in range(5):
        made = replace(example(number), rejected=Reply("blue square") if wrong else None)
        desk.examples.add(ME, dataset, made if right else replace(made, text=None, regions=()))
    config = RunConfig(stage=stage, preference=preference, batch=2)
    if found is None:
        assert desk.runs.plans.sides(ME, config, dataset) == (4, 1)
        assert desk.runs.start(ME, config, dataset).data is not None
        return
    for way in (desk.runs.plans.estimate, desk.runs.start, desk.runs.plans.trial):
        with pytest.raises(BadInput, match=found):
            way(ME, config, dataset)
    assert desk.runs.runs(ME) == ()


def test_a_run_whose_only_pair_would_be_held_out_does_not_start(desk: Desk) -> None:
    everything = [replace(example(number), rejected=Reply("blue square")) for number in (20, 21)]
    plain = desk.examples.examples(ME, desk.dataset)
    for each in everything:
        with pytest.raises(BadInput, match="Every example with a right and a wrong answer"):
            fitting.check_taught(RunConfig(stage=Stage.PREFERENCE), plain)
        fitting.check_taught(RunConfig(stage=Stage.PREFERENCE), (*plain, each))


def test_what_cannot_start_leaves_nothing_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = desk.examples.create(ME, "Empty").id
    with pytest.raises(BadInput, match="'Empty' has no examples"):
        desk.runs.start(ME, RunConfig(), empty)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plans.RunFolder, "write_data", full)
    with pytest.raises(StoreUnavailable, match="No space left on device"):
        desk.start()
    assert desk.runs.runs(ME) == () and not list((desk.store.data / "runs").iterdir())


def test_a_run_that_cannot_be_written_down_leaves_no_folder(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise StoreUnavailable("The data folder is busy with another write: try again in a moment.")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(desk.store, "writing", busy)
        with pytest.raises(StoreUnavailable, match="is busy with another write"):
            desk.start()
    assert desk.runs.runs(ME) == () and not list((desk.store.data / "runs").iterdir())
