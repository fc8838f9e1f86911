"""Answers that are being written, so that a chat's Stop finds its own and no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vlm_app import limits

Key = tuple[str, str]  # owner, chat


class Running:
    """Stop signals by owner and chat. Two tabs may write in one chat: Stop ends both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signals: dict[Key, list[threading.Event]] = {}

    @contextmanager
    def answer(self, key: Key, signal: threading.Event) -> Iterator[None]:
        """`signal` is set when this chat is stopped, for as long as its answer runs."""
        with self._lock:
            self._signals.setdefault(key, []).append(signal)
        try:
            with limits.answering(key[0]):
                yield
        finally:
            with self._lock:
                self._signals[key].remove(signal)
                if not self._signals[key]:
                    del self._signals[key]

    def stop(self, key: Key) -> None:
        """Ends what this chat is writing; nothing happens where it writes nothing."""
        with self._lock:
            for signal in self._signals.get(key, ()):
                signal.set()
