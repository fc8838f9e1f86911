"""`vlm-app finetune`: teach a model by the settings in a file, in the line of runs that the app has too."""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.errors import BadInput
from vlm_app.settings import settings

if TYPE_CHECKING:
    from vlm_app.finetune.events import Event
    from vlm_app.finetune.examples import Examples
    from vlm_app.finetune.runs import Run, Runs
    from vlm_app.store import Store

OWNER = "terminal"  # of what is started here
_LOOK_SECONDS = 0.5  # between two looks at what a run said


def add(commands: Any) -> None:
    """Its arguments."""
    finetune = commands.add_parser(
        "finetune", help="teach a model by the settings in a file", description=run.__doc__
    )
    finetune.add_argument("file", nargs="?", type=Path, metavar="RUN.TOML", help="what to teach, and how")
    finetune.add_argument("--list", action="store_true", help="list the runs")
    finetune.add_argument("--resume", metavar="ID", help="go on with a run, from its last checkpoint")
    finetune.add_argument("--stop", metavar="ID", help="end a run with a checkpoint")
    finetune.add_argument(
        "--owner",
        default=OWNER,
        metavar="ID",
        help="whose datasets and runs; the terminal's if not given",
    )
    finetune.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Teach a model, and print how it goes. Ctrl-C ends the printing, not the run."""
    given = [arguments.file, arguments.list or None, arguments.resume, arguments.stop]
    if sum(each is not None for each in given) != 1:
        raise BadInput("Give one of RUN.TOML, --list, --resume ID and --stop ID.")
    with _runs() as (store, runs):
        if arguments.list:
            return _list(runs, arguments.owner)
        if arguments.stop:
            stopped = runs.stop(arguments.owner, arguments.stop)
            print(_line(stopped))
            return 0
        if arguments.resume:
            _, said = runs.events(arguments.owner, arguments.resume)  # before: no news
            return _follow(runs, runs.resume(arguments.owner, arguments.resume), said)
        return _follow(runs, _started(store, runs, arguments.owner, arguments.file), 0)


@contextmanager
def _runs() -> Iterator[tuple[Store, Runs]]:
    from vlm_app.engine import engine
    from vlm_app.finetune.runs import Runs
    from vlm_app.store import Store

    store = Store(settings().data)
    runs = Runs(store, engine())
    try:
        yield store, runs
    finally:
        runs.close()
        store.close()


# --- starting -----------------------------------------------------------------------------


def _started(store: Store, runs: Runs, owner: str, path: Path) -> Run:
    from vlm_app.finetune.fitting import too_few
    from vlm_app.finetune.run_config import RunConfig

    table = _table(path)
    wanted = table.pop("dataset", None)
    if not isinstance(wanted, str) or not wanted.strip():
        raise BadInput(f"The run '{path}' names no dataset: add a line such as dataset = \"Hearts\".")
    config = RunConfig.read(table)
    dataset = _dataset(store, owner, wanted, path.parent)
    print(runs.plans.estimate(owner, config, dataset).sentence, file=sys.stderr)
    if few := too_few(*runs.plans.sides(owner, config, dataset)):
        print(few, file=sys.stderr)
    return runs.start(owner, config, dataset)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"The run '{path}' cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The run '{path}' is not TOML: {error}.") from error


def _dataset(store: Store, owner: str, wanted: str, beside: Path) -> str:
    """The id of a dataset with what a file or folder holds, or of the owner's dataset of this name."""
    from vlm_app.finetune.examples import Examples

    examples = Examples(store)
    path = beside / wanted
    if path.exists():
        return _taken_in(examples, owner, path)
    datasets = examples.datasets(owner)
    found = next((each.id for each in datasets if each.name.casefold() == wanted.casefold()), None)
    if found is None:
        names = ", ".join(each.name for each in datasets) or "none"
        raise BadInput(f"There is no dataset and no file '{wanted}': the datasets of '{owner}' are: {names}.")
    return found


def _taken_in(examples: Examples, owner: str, path: Path) -> str:
    """A dataset with exactly what the file holds now: one that was made of it before, or a new one.

    It bears the file's name; where another one does, with a number.
    """
    from vlm_app.finetune.uploads import take_in

    datasets = examples.datasets(owner)
    new = examples.create(owner, _free_name(path.name, {each.name.casefold() for each in datasets}))
    try:
        report = take_in(examples, owner, new.id, path, path.name)
        for problem in report.problems[:20]:
            print(problem.sentence, file=sys.stderr)
        if not report.added:
            raise BadInput(f"No row of '{path.name}' can be used: correct them as is said above.")
        held = examples.digests(owner, new.id)
        known = next((each for each in datasets if examples.digests(owner, each.id) == held), None)
    except BaseException:
        examples.delete_dataset(owner, new.id)
        raise
    if known is not None:
        examples.delete_dataset(owner, new.id)
        print(f"'{path.name}' holds what the dataset '{known.name}' has.", file=sys.stderr)
        return known.id
    print(f"{report.sentence} They are the dataset '{new.name}'.", file=sys.stderr)
    return new.id


def _free_name(name: str, taken: set[str]) -> str:
    names = (name[:80] if number == 1 else f"{name[:75]} {number}" for number in count(1))
    return next(each for each in names if each.casefold() not in taken)


# --- looking ------------------------------------------------------------------------------


def _list(runs: Runs, owner: str) -> int:
    found = runs.runs(owner)
    for each in found:
        print(_line(each))
    if not found:
        print("There are no runs; start one with a file: vlm-app finetune RUN.TOML.", file=sys.stderr)
    return 0


def _line(run: Run) -> str:
    far = f", step {run.status.step} of {run.status.steps}" if run.status.step else ""
    said = f": {run.status.sentence}" if run.status.sentence else ""
    return f"{run.id}  {run.name}  {run.state}{far}{said}"


def _follow(runs: Runs, run: Run, since: int) -> int:
    """Print what a run says, from byte `since` of its events on, until it ends; 0 when that was its end."""
    from vlm_app.finetune.events import State
    from vlm_app.finetune.processes import ACTIVE

    print(run.id, flush=True)
    told = ""
    while True:
        now = runs.run(run.owner, run.id)
        events, since = now.folder.events(since)
        for event in events:
            if words := _words(event, now):
                print(words, flush=True)
        if now.status.sentence not in ("", told):
            told = now.status.sentence
            print(told, file=sys.stderr)
        if now.state not in (State.QUEUED, *ACTIVE):
            print(now.state, file=sys.stderr)
            _print_verdict(runs, now)
            return int(now.state is not State.DONE)
        _wait(now)


def _print_verdict(runs: Runs, run: Run) -> None:
    """Whether it helped, where that was asked."""
    from vlm_app.finetune.events import State

    found = runs.judged(run.owner, run.id) if run.state is State.DONE else None
    if found is None:
        return
    for task, verdict in found.verdict.tasks.items():
        for name, change in verdict.changes.items():
            told = f"{change.before:.3g} before, {change.after:.3g} after"
            print(f"{task.value} {name} on {verdict.images} held-out images: {told}: {change.words}")
    print(found.sentence)


def _wait(run: Run) -> None:
    try:
        time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        print(f"{_standing(run)}; end it with: vlm-app finetune --stop {run.id}", file=sys.stderr)
        raise


def _standing(run: Run) -> str:
    """What becomes of it when nobody watches: who waits in the line needs somebody who drives it."""
    from vlm_app.finetune.events import State

    if run.state is State.QUEUED:
        return "The run waits in the line, and begins while the app or 'vlm-app finetune' runs"
    return "The run goes on"


def _words(event: Event, run: Run) -> str:
    """A line for an event; '' for one that a terminal cannot show."""
    from vlm_app.finetune.events import Answered, Evaluated, Said, Saved, Stepped

    if isinstance(event, Stepped):
        left = f", about {event.seconds_left:.0f} s left" if event.seconds_left is not None else ""
        total = f" of {run.status.steps}" if run.status.steps else ""
        speed = f"{event.examples_per_second:.3g} examples/s"
        return f"step {event.step}{total}: loss {event.loss:.4g}, {speed}{left}"
    if isinstance(event, Evaluated):
        loss = [] if event.loss is None else [f"loss {event.loss:.4g}"]
        figures = [*loss, *(f"{name} {value:.3g}" for name, value in event.scores.items())]
        return f"held out, after step {event.step}: {', '.join(figures)}"
    if isinstance(event, Answered):
        left = f", about {event.seconds_left:.0f} s left" if event.seconds_left is not None else ""
        return f"held out: {event.done} of {event.of} answered{left}"
    if isinstance(event, Saved):
        return f"checkpoint after step {event.step}"
    return event.sentence if isinstance(event, Said) else ""
