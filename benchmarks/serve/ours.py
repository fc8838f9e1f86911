"""This app's side: everything through `Engine.answer`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from benchmarks.serve.asked import Asked
from vlm_app.engine import Engine, LoadedModel, LocalBackend
from vlm_app.engine.backend import Plan, Watch
from vlm_app.types import Checkpoint, Request


class Counting(LocalBackend):
    """Counts how often the vision encoders of its models run."""

    def __init__(self) -> None:
        self.encoded = 0

    def load(self, plan: Plan, watch: Watch) -> LoadedModel:
        from torch.nn import ModuleList

        loaded = super().load(plan, watch)
        tower = attrgetter(loaded.family.lora_towers["vision"])(loaded.model)
        first = (
            next(iter(tower.children())) if isinstance(tower, ModuleList) else tower
        )  # a list is not called
        first.register_forward_pre_hook(self._count)
        return loaded

    def _count(self, *_: Any) -> None:
        self.encoded += 1


class Ours:
    """An engine with the models that are measured."""

    def __init__(self, *rows: Checkpoint) -> None:
        self._backend = Counting()
        self._engine = Engine({row.id: row for row in rows}, self._backend)

    @property
    def encoded(self) -> int:
        """How often a vision encoder has run."""
        return self._backend.encoded

    def ask(self, request: Request, begun: Callable[[], Any] | None = None) -> Asked:
        """One answer to its end; `begun` is called when the first of it can be read."""
        start = time.monotonic()
        answer = None
        for delta in self._engine.answer(request):
            answer = delta.answer or answer
            if begun and (delta.text or delta.regions):
                begun()
                begun = None
        total = time.monotonic() - start
        assert answer is not None and answer.usage.completion_tokens == request.sampling.max_tokens, answer
        first = answer.timings.load + answer.timings.first_token
        return Asked(first, total, answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.raw)

    def crowd(self, requests: Sequence[Request]) -> tuple[float, list[Asked]]:
        """All at once, a thread each: seconds until the last has its answer, and each answer."""
        answers: dict[int, Asked] = {}
        threads = [
            threading.Thread(target=lambda n=number, r=request: answers.update({n: self.ask(r)}))
            for number, request in enumerate(requests)
        ]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - start, [answers[number] for number in range(len(requests))]

    def joined(self, requests: Sequence[Request], late: Request) -> tuple[Asked, float]:
        """Somebody who asks once all others have begun to be answered (or one of them is through).

        Returns that answer, and the seconds from that question until the first of the others had a
        whole answer: below the answer's `first`, the batch had to drain.
        """
        several = threading.Semaphore(0)
        ended: list[float] = []

        def ask(request: Request) -> None:
            self.ask(request, several.release)
            ended.append(time.monotonic())
            for _ in requests:
                several.release()

        threads = [threading.Thread(target=ask, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        for _ in requests:
            several.acquire()
        start = time.monotonic()
        answer = self.ask(late)
        for thread in threads:
            thread.join()
        return answer, min((end for end in ended if end > start), default=start) - start

    def close(self) -> None:
        self._engine.close()
