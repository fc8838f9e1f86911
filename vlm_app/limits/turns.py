"""What somebody may have going on at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from vlm_app.errors import TooMany
from vlm_app.limits.known import of


class Turns:
    """Counts what runs for each key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: Counter[str] = Counter()

    @contextmanager
    def taken(self, key: str, most: int | None, sentence: str) -> Iterator[None]:
        """One more for the time of the block. Raises `TooMany` with `sentence` where that would be
        more than `most`."""
        with self._lock:
            if most is not None and self._running[key] >= most:
                raise TooMany(sentence)
            self._running[key] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[key] -= 1
                if not self._running[key]:
                    del self._running[key]


_answers = Turns()


@contextmanager
def answering(owner: str | None) -> Iterator[None]:
    """An answer is written for an owner for the time of the block; None is whoever sits at this
    computer. Raises `TooMany`."""
    limits = of(owner)
    most = limits.answers or 0
    many = "1 answer is" if most == 1 else f"{most} answers are"
    sentence = (
        f"At most {many} written at once for {limits.a_role}: wait until another one ends, or stop it, "
        "and send again."
    )
    with _answers.taken(owner or "", limits.answers, sentence):
        yield
