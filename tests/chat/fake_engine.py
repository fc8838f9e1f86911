"""An engine without a model: it says what it is told, and fails or waits where it is told."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from vlm_app.errors import AppError
from vlm_app.types import Answer, Box, Delta, Finish, Region, Request, Role, Seen, Timings, Usage

CIRCLE = Region("red circle", Box(0.1, 0.1, 0.4, 0.4), span=(2, 12))


class FakeEngine:
    """Writes `words` one delta each, as the real one does: `raw` in capitals stands for markup.

    `fails` is raised before the word with that index; `refuses` before anything. After
    `limit` words an answer is cut. Going on from an assistant's turn, deltas hold what is new
    and the answer the whole.
    """

    def __init__(self) -> None:
        self.words = ["a ", "red circle", " on ", "white"]
        self.regions: tuple[Region, ...] = (CIRCLE,)
        self.limit = 100
        self.refuses: Exception | None = None
        self.fails: dict[int, Exception] = {}
        self.requests: list[Request] = []
        self.closed = 0

    def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]:
        self.requests.append(request)
        if self.refuses is not None:
            raise self.refuses
        try:
            yield from self._write(request, stop or Event())
        finally:
            self.closed += 1

    def _write(self, request: Request, stop: Event) -> Iterator[Delta]:
        last = request.turns[-1]
        before = last.text if last.role is Role.ASSISTANT else ""
        written = before.lower()
        left = [word for word in self.words if word not in written]
        yield Delta()  # it waits for the model
        for index, word in enumerate(left[: self.limit]):
            if index in self.fails:
                raise self.fails[index]
            if stop.is_set():
                break
            written += word
            yield Delta(word, self.regions if word == "red circle" else ())
        whole = len(left) <= self.limit
        finish = Finish.CANCELLED if stop.is_set() else Finish.STOP if whole else Finish.LENGTH
        # Plain text to go on from has no regions: they can only be read from markup.
        regions = self.regions if "red circle" in written and "red circle" not in before else ()
        yield Delta(answer=self.whole(request, written, finish, regions))

    def whole(self, request: Request, text: str, finish: Finish, regions: tuple[Region, ...]) -> Answer:
        return Answer(
            text=text,
            regions=regions,
            raw=text.upper(),
            prompt="the prompt",
            task=request.task,
            seen=Seen((256, 256), 1, 64, "a convention"),
            usage=Usage(10, 4),
            timings=Timings(0.5, 0.25, 1.0),
            finish=finish,
            model=request.model,
            precision="fp32",
        )


class Refusal(AppError):
    """A sentence of the engine's."""
