"""`vlm-app finetune`, as somebody at a terminal meets it: with a trainer that only counts."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import vlm_app.engine
from tests.finetune import document
from tests.finetune.app import STUB, engine, needs
from tests.finetune.runs import example
from tests.finetune.test_child import soon
from vlm_app.cli import finetune, main
from vlm_app.finetune import plans
from vlm_app.finetune import runs as runs_module
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.run_config import RunConfig
from vlm_app.settings import settings
from vlm_app.store import Store


@pytest.fixture(autouse=True)
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command with models that are numbers, and the tests' trainer."""
    made = engine()
    monkeypatch.setattr(vlm_app.engine, "engine", lambda: made)
    monkeypatch.setattr(plans, "needs", needs)
    real = runs_module.Runs
    monkeypatch.setattr(runs_module, "Runs", lambda store, engine: real(store, engine, STUB))
    yield
    made.close()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def file(text: str) -> str:
        (tmp_path / "run.toml").write_text(text)
        return str(tmp_path / "run.toml")

    return file


@pytest.fixture
def shapes() -> None:
    """A dataset of the terminal's owner."""
    store = Store(settings().data)
    examples = Examples(store)
    dataset = examples.create(finetune.OWNER, "Shapes").id
    for number in range(5):
        examples.add(finetune.OWNER, dataset, example(number))
    store.close()


def test_a_run_is_printed_while_it_goes_and_listed(
    shapes: None, write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["finetune", write('dataset = "shapes"\nname = "Hearts"\nsteps = 4\nsave_every = 2')]) == 0
    printed = capsys.readouterr()
    id, *lines = printed.out.splitlines()
    assert lines[0] == "step 1 of 4: loss 1, 1 examples/s" and lines[-1] == "checkpoint after step 4"
    assert "4 steps in 100 MB" in printed.err and printed.err.endswith("done\n")
    assert main(["finetune", "--list"]) == 0
    assert capsys.readouterr().out == f"{id}  Hearts  done, step 4 of 4\n"
    assert main(["finetune", "--list", "--owner", "somebody"]) == 0
    assert capsys.readouterr().out == ""


def test_a_run_is_stopped_from_another_terminal_and_resumed(
    shapes: None,
    write: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write('dataset = "Shapes"\nsteps = 60\nsave_every = 100')
    monkeypatch.setenv("STEP_SECONDS", "0.5")
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(main(["finetune", path])))
    first.start()
    root = settings().data / "runs"
    soon(lambda: list(root.glob("*/events.jsonl")))
    (id,) = [each.parent.name for each in root.glob("*/events.jsonl")]
    assert main(["finetune", "--stop", id]) == 0
    first.join(60)
    assert statuses == [1]
    capsys.readouterr()
    monkeypatch.setenv("STEP_SECONDS", "0.01")
    assert main(["finetune", "--resume", id]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == id and not lines[1].startswith("step 1 of") and lines[-1].startswith("step 60 of 60")
    assert main(["finetune", "--resume", id]) == 2
    assert f"is {State.DONE}: only a run that stopped or broke can be resumed" in capsys.readouterr().err


def test_a_file_of_examples_is_taken_in(
    tmp_path: Path, write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    hearts = tmp_path / "hearts"
    hearts.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (number * 80, 90, 20)).save(hearts / f"{number}.png")
    rows = [{"image": f"{number}.png", "prefix": "What is it?", "suffix": "a heart"} for number in range(3)]
    (hearts / "rows.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"image": "no.png"}])))
    path = write('dataset = "hearts"\nsteps = 1')
    assert main(["finetune", path]) == 0
    told = capsys.readouterr().err
    assert "3 examples, 1 row left out." in told and "rows.jsonl, row 4: " in told
    (hearts / "rows.jsonl").write_text('{"image": "gone.png", "prefix": "What is it?", "suffix": "a heart"}')
    hearts.rename(tmp_path / "bad")
    assert main(["finetune", write('dataset = "bad"')]) == 2
    assert "No row of 'bad' can be used" in capsys.readouterr().err
    store = Store(settings().data)
    assert [each.name for each in Examples(store).datasets(finetune.OWNER)] == ["hearts"]
    store.close()


def test_a_file_is_taken_as_it_is_now_and_not_as_it_was_or_as_one_of_its_name(
    tmp_path: Path, write: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(folder: str, *answers: str) -> None:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number, _ in enumerate(answers):
            Image.new("RGB", (40, 30), (number * 80, 90, 20)).save(tmp_path / folder / f"{number}.png")
        said = [
            {"image": f"{n}.png", "prefix": "What is it?", "suffix": answer}
            for n, answer in enumerate(answers)
        ]
        (tmp_path / folder / "rows.jsonl").write_text("\n".join(map(json.dumps, said)))

    def taught(folder: str) -> tuple[str, set[str | None]]:
        """The dataset's name, and what its answers are."""
        assert main(["finetune", write(f'dataset = "{folder}"\nsteps = 1')]) == 0
        store = Store(settings().data)
        examples = Examples(store)
        run = max((settings().data / "runs").glob("*/data.json"), key=lambda path: path.stat().st_mtime_ns)
        dataset = examples.dataset(finetune.OWNER, json.loads(run.read_text())["dataset"])
        found = {each.text for each in examples.examples(finetune.OWNER, dataset.id)}
        store.close()
        return dataset.name, found

    rows("a/hearts", "a cat", "a heart")
    assert taught("a/hearts") == ("hearts", {"a cat", "a heart"})
    assert taught("a/hearts") == ("hearts", {"a cat", "a heart"})
    assert "'hearts' holds what the dataset 'hearts' has." in capsys.readouterr().err
    rows("a/hearts", "a star", "a heart")
    assert taught("a/hearts") == ("hearts 2", {"a star", "a heart"})
    rows("b/hearts", "a moon", "a sun")
    assert taught("b/hearts") == ("hearts 3", {"a moon", "a sun"})
    shutil.rmtree(tmp_path / "a")
    assert taught("hearts 2") == ("hearts 2", {"a star", "a heart"})


@pytest.mark.parametrize(
    ("state", "sentence"),
    [(State.QUEUED, "The run waits in the line, and begins while"), (State.TRAINING, "The run goes on; ")],
)
def test_who_stops_watching_is_told_what_becomes_of_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: State, sentence: str
) -> None:
    def pressed(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune.time, "sleep", pressed)
    with pytest.raises(KeyboardInterrupt):
        finetune._wait(SimpleNamespace(id="7", state=state))
    assert sentence in (told := capsys.readouterr().err) and told.endswith("vlm-app finetune --stop 7\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("steps = 1", "names no dataset: add a line such as dataset"),
        (
            'dataset = "Stars"',
            "no dataset and no file 'Stars': the datasets of 'terminal' are: none.",
        ),
        ('dataset = "x"\nrank = 0', "A run cannot be read at 'rank'"),
        ('dataset = "x"\nsteep = 1', "A run cannot be read at 'steep'"),
        ("dataset = ", "is not TOML"),
    ],
)
def test_what_cannot_start_is_one_sentence(
    write: Callable[[str], str], capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    assert main(["finetune", write(text)]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_one_thing_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["finetune"]) == 2
    assert main(["finetune", "run.toml", "--list"]) == 2
    assert "Give one of RUN.TOML, --list, --resume ID and --stop ID." in capsys.readouterr().err


def test_the_page_on_fine_tuning_names_every_setting() -> None:
    text = document.PAGE.read_text("utf-8")
    assert text == document.page(text), "run python -m tests.finetune.document"
    assert set(document.MEANS) == set(RunConfig.model_fields)
