"""Answers that are being written: a chat's Stop finds its own and no other, the end of the app all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vlm_app import limits
from vlm_app.errors import ModelUnavailable

Key = tuple[str, str]  # owner, chat


class Running:
    """Stop signals by owner and chat. Two tabs may write in one chat: Stop ends both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signals: dict[Key, list[threading.Event]] = {}
        self._closed = False
        self._listening = 0

    @contextmanager
    def answer(self, key: Key, signal: threading.Event) -> Iterator[None]:
        """`signal` is set when this chat is stopped, for as long as its answer runs.

        Raises `ModelUnavailable` once the app is ending.
        """
        with self._lock:
            self._check()
            self._signals.setdefault(key, []).append(signal)
        try:
            with limits.answering(key[0]):
                yield
        finally:
            with self._lock:
                self._signals[key].remove(signal)
                if not self._signals[key]:
                    del self._signals[key]

    def check(self) -> None:
        """Raises `ModelUnavailable` once the app is ending: to be asked before anything else begins."""
        with self._lock:
            self._check()

    def _check(self) -> None:
        if self._closed:
            raise ModelUnavailable("The app is ending and begins nothing new: ask again when it is back.")

    def stop_of(self, owner: str) -> None:
        """Ends all that is being written for an owner."""
        with self._lock:
            for (whose, _), signals in self._signals.items():
                for signal in signals if whose == owner else ():
                    signal.set()

    def writes(self, key: Key) -> bool:
        """Whether an answer is being written in this chat."""
        with self._lock:
            return key in self._signals

    def busy_with(self, owner: str) -> bool:
        """Whether an answer is being written for an owner."""
        with self._lock:
            return any(whose == owner for whose, _ in self._signals)

    def stop(self, key: Key) -> None:
        """Ends what this chat is writing; nothing happens where it writes nothing."""
        with self._lock:
            for signal in self._signals.get(key, ()):
                signal.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For as long as a tab hears what becomes of its presses."""
        with self._lock:
            self._listening += 1
        try:
            yield
        finally:
            with self._lock:
                self._listening -= 1

    # --- the end of the app -----------------------------------------------------------------

    def close(self) -> None:
        """Nothing further begins; answers that run go on."""
        with self._lock:
            self._closed = True

    @property
    def closed(self) -> bool:
        """Whether the app is ending."""
        with self._lock:
            return self._closed

    @property
    def busy(self) -> bool:
        """Whether an answer is being written, of whomever."""
        with self._lock:
            return bool(self._signals)

    @property
    def awaited(self) -> bool:
        """Whether a tab has yet to hear the end of what it pressed."""
        with self._lock:
            return bool(self._listening)

    def stop_all(self) -> None:
        """Ends all answers; each is kept as far as it came."""
        with self._lock:
            for signal in [each for signals in self._signals.values() for each in signals]:
                signal.set()
