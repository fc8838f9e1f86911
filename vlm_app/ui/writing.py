"""Answers that are being written, each in a thread of its own: a tab looks at one, leaves it, comes back."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing

from vlm_app.chat import Progress
from vlm_app.errors import AppError
from vlm_app.ui.running import Key, Running

log = logging.getLogger(__name__)
ALONE = 60.0  # seconds; enough for a reload, or a look at another app on a phone


class Writing:
    """One answer on its way, of which the latest step is known."""

    def __init__(self, steps: Generator[Progress], stop: threading.Event) -> None:
        """Takes the first step at once. `stop` ends the answer."""
        self._steps, self._stop = steps, stop
        self._latest = 1, next(steps)
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._looked = 0.0  # when somebody last did

    @property
    def latest(self) -> Progress:
        return self._latest[1]

    def steps(self, beat: float) -> Iterator[Progress | None]:
        """The latest step every `beat` seconds, None where it is the one before, and the last one at once.

        Raises what went wrong in writing.
        """
        known = 0
        while True:
            ended = self._ended.is_set()
            number, step = self._latest
            self._looked = time.monotonic()
            if ended and number == known:
                break
            yield step if number != known else None
            known = number
            self._ended.wait(beat)
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        """A tab that looked was closed: the answer is stopped, and kept, where soon nobody looks again."""
        timer = threading.Timer(ALONE, self._stop_unless_looked, [time.monotonic()])
        timer.daemon = True
        timer.start()

    def _stop_unless_looked(self, since: float) -> None:
        if self._looked <= since:
            self._stop.set()

    def write(self) -> None:
        """All steps but the first."""
        try:
            with closing(self._steps):
                for number, step in enumerate(self._steps, 2):
                    self._latest = number, step
        except AppError as error:
            self._error = error
        except Exception as error:
            log.exception("an answer could not be written")
            self._error = error

    def end(self) -> None:
        """Nothing follows."""
        self._ended.set()


class Writings:
    """What is being written, by owner and chat."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._lock = threading.Lock()
        self._all: dict[Key, Writing] = {}

    def begin(self, key: Key, stop: threading.Event, ask: Callable[[], Generator[Progress]]) -> Writing:
        """Writes what `ask` returns. Raises what `ask` and its first step raise, and as `Running.answer`."""
        with ExitStack() as held:
            held.enter_context(self._running.answer(key, stop))
            writing = Writing(ask(), stop)
            with self._lock:
                self._all[key] = writing
            context = contextvars.copy_context()  # whose request it is, where a GPU is borrowed for it
            arguments = (self._write, key, writing, held.pop_all())
            threading.Thread(target=context.run, args=arguments, name="answer", daemon=True).start()
        return writing

    def of(self, key: Key) -> Writing | None:
        """What is being written in a chat: where two tabs asked, the later one."""
        with self._lock:
            return self._all.get(key)

    def _write(self, key: Key, writing: Writing, held: ExitStack) -> None:
        try:
            with held:
                writing.write()
        finally:
            with self._lock:
                if self._all.get(key) is writing:
                    del self._all[key]
            writing.end()
