"""The app is told to end while people use it: the real server, as process 1 where that is allowed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import gradio as gr
import psutil
import pytest

from tests.browser.conftest import served
from tests.finetune.app import needs
from tests.finetune.desk import Desk
from tests.finetune.test_child import soon
from tests.finetune.test_runs import steps
from tests.sizes import ENDING_SECONDS
from tests.ui.ending_app import ALONE
from tests.ui.fake_engine import FakeEngine
from tests.ui.talker import Talker
from vlm_app.api.owner import Owners
from vlm_app.chat import Chats
from vlm_app.errors import ModelUnavailable
from vlm_app.finetune import plans, runs
from vlm_app.finetune.events import Saved, State
from vlm_app.people import Person, Role
from vlm_app.settings import ROOT
from vlm_app.types import Finish
from vlm_app.ui import ending
from vlm_app.ui.endpoints import Endpoints
from vlm_app.ui.running import Running

SOON = 30.0  # seconds for the process to be gone, after answers and runs had theirs: a busy machine
KEY = ("me", "chat")


def alone() -> tuple[str, ...]:
    """What makes the app process 1, where this machine lets us."""
    tried = subprocess.run([*ALONE, "true"], capture_output=True, check=False)
    return ("alone",) if tried.returncode == 0 else ()


def app_below(process: subprocess.Popen[str]) -> psutil.Process:
    """The process of the app itself: below `unshare`, where that made it process 1."""
    started = psutil.Process(process.pid)
    return started.children()[0] if started.name() == "unshare" else started


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A data folder whose runs nobody looks after before the app is there."""
    monkeypatch.setattr(plans, "needs", needs)
    made = Desk(tmp_path / "data")
    made.runs.close()
    yield made
    made.close()


def begun(talker: Talker, seconds: int, pool: ThreadPoolExecutor) -> Future[list[str]]:
    """Asks for an answer that lasts so long, and returns when it has begun; then what was told of it."""
    told = talker.say(f"{seconds} s")
    first = next(line for line in told if "tick" in line)
    return pool.submit(lambda: [first, *told])


def test_on_sigterm_answers_are_finished_or_kept_runs_are_saved_and_nothing_new_begins(desk: Desk) -> None:
    run = desk.start(steps=100_000, save_every=100_000)
    data, command = desk.store.data, ("-m", "tests.ui.ending_app", *alone(), "PORT", str(ENDING_SECONDS))
    with served(data, *command) as server, ThreadPoolExecutor() as pool:
        port = int(server.url.rpartition(":")[2])
        late, long, quick = (Talker.come(port) for _ in range(3))
        soon(lambda: steps(run))
        cut, whole = begun(long, 600, pool), begun(quick, 2, pool)
        app, told_at = app_below(server.process), time.monotonic()
        app.send_signal(signal.SIGTERM)
        soon(run.folder.pause.exists)
        assert "The app is ending" in "".join(late.say("1 s"))
        assert "done" in whole.result()[-1] and "process_completed" in cut.result()[-1]
        assert server.process.wait(SOON) == 0
        assert ENDING_SECONDS <= time.monotonic() - told_at < ENDING_SECONDS + SOON
    paused = run.folder.status
    assert (paused.state, paused.pid) == (State.QUEUED, None) and paused.step > 0
    assert [each.step for each in run.folder.events()[0] if isinstance(each, Saved)] == [paused.step]

    owners, chats = Owners(data), Chats(desk.store, None)
    kept = {}
    for talker in (late, long, quick):
        owner = owners.read(talker.cookie.partition("=")[2])
        assert owner
        kept[talker.tab] = [chats.open(owner, each.id).messages[-1].answer for each in chats.list(owner)]
    assert kept[late.tab] == []
    (first,), (second,) = kept[long.tab], kept[quick.tab]
    assert first and first.finish is Finish.CANCELLED and first.text.startswith("tick tick")
    assert second and second.finish is Finish.STOP and second.text.endswith("done")

    desk.runs = runs.Runs(desk.store, desk.engine, ("-u", "-m", "tests.finetune.runs"))
    desk.runs.drive()
    soon(lambda: len(steps(run)) > paused.step)
    assert steps(run)[paused.step] == paused.step + 1, "the next start goes on from the checkpoint"


# --- what would take another server each ------------------------------------------------------


class Training:
    """Stands in for fine-tuning; `left` times it is still at it."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def trains(self) -> bool:
        self.left -= 1
        return self.left >= 0


@pytest.fixture
def signals() -> Iterator[ending.Signals]:
    """Those of this process, which get their former handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    heard = ending.Signals()
    heard.listen()
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def answering(running: Running, until_stopped: Callable[[Event], object]) -> Event:
    """An answer that runs in a thread of its own; set once it has ended."""
    begun, over = SimpleQueue[None](), Event()

    def answer() -> None:
        stop = Event()
        with running.answer(KEY, stop):
            begun.put(None)
            until_stopped(stop)
        over.set()

    Thread(target=answer, daemon=True).start()
    begun.get(timeout=10)
    return over


def test_a_second_ctrl_c_waits_for_nobody(signals: ending.Signals) -> None:
    running, training = Running(), Training(left=10**9)
    over = answering(running, lambda stop: stop.wait(60))
    signal.raise_signal(signal.SIGINT)
    assert signals.wait(5)
    signal.raise_signal(signal.SIGINT)
    at = time.monotonic()
    ending.finish(running, training, signals)
    assert over.wait(5) and training.paused and time.monotonic() - at < 5
    with pytest.raises(ModelUnavailable, match="ending"), running.answer(KEY, Event()):
        pass


def test_a_tab_hears_the_end_of_an_answer_that_was_kept(
    signals: ending.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "KEPT_SECONDS", 60.0)
    running, kept = Running(), Event()
    finishing = Thread(target=ending.finish, args=(running, Training(), signals), daemon=True)
    with running.listening():
        over = answering(running, lambda stop: kept.wait(60))
        finishing.start()
        kept.set()
        assert over.wait(10)
        finishing.join(1)
        assert finishing.is_alive()
    finishing.join(30)
    assert not finishing.is_alive()


def test_an_answer_that_does_not_end_holds_nothing_up(
    signals: ending.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(ending, "KEPT_SECONDS", 0.3)
    running, training, deaf = Running(), Training(left=3), Event()
    over, at = answering(running, lambda stop: deaf.wait(60)), time.monotonic()
    ending.finish(running, training, signals)
    assert 0.6 <= time.monotonic() - at < 10 and not over.is_set() and training.left < 0
    deaf.set()
    assert over.wait(5)


def test_what_another_program_asks_is_stopped_with_all_answers_and_nothing_more_begins() -> None:
    running, scene = Running(), {"path": str(ROOT / "assets" / "examples" / "shapes.png")}
    endpoints = Endpoints(FakeEngine(pause=0.02), running)
    me = Person("me", "", Role.ADMIN)
    request: Any = SimpleNamespace(state=SimpleNamespace(visit=SimpleNamespace(person=me)))
    asked = partial(endpoints.export, request, scene, "json", "chat", "slow", "pebble")
    with ThreadPoolExecutor() as pool:
        told = pool.submit(asked)
        soon(lambda: running.busy)
        running.close()
        running.stop_all()
        with pytest.raises(gr.Error, match="stopped before its end"):
            told.result(SOON)
    assert not running.busy
    with pytest.raises(gr.Error, match="The app is ending"):
        asked()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_the_page_is_up_a_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    code = "import time; from vlm_app.ui import ending; ending.leave_at_once(); print('up', flush=True)"
    code += "; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert process.wait(30) == 0
    process.stdout.close()
