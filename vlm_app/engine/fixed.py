"""A fixed set of models, placed before the page is up, each answer in a process that the place starts.

So it is on ZeroGPU (huggingface.co/docs/hub/spaces-zerogpu): a GPU is borrowed for one answer, in a forked
process that has the models and gets the request pickled; what it yields comes back pickled, and whatever it
changes is gone afterwards. Nothing here knows that place: it is given a way to run a generator there.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_app import errors
from vlm_app.catalog import find
from vlm_app.engine import cores
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.answers import Engine
from vlm_app.engine.devices import Device
from vlm_app.engine.events import Answered, Answering, Loaded
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.local import LocalBackend
from vlm_app.engine.local_answer import BEAT, LocalAnswer
from vlm_app.engine.memory import Fit
from vlm_app.engine.offers import Offer
from vlm_app.engine.reserving import Reservation
from vlm_app.engine.states import ModelState
from vlm_app.errors import AppError, GenerationFailed, ModelUnavailable
from vlm_app.types import Checkpoint, Delta, Finish, Request

_log = logging.getLogger(__name__)
FIXED = (
    "Here a GPU is borrowed for each answer and given back after it, so the models are placed when the app "
    "starts and stay, and nothing can be trained: run the app on a computer or a Space with a GPU of its own."
)


@dataclass(frozen=True, slots=True)
class Refused:
    """An `AppError` on its way out of the other process, which tells only the class of an exception."""

    kind: str
    sentence: str

    def error(self) -> AppError:
        kind = getattr(errors, self.kind, GenerationFailed)
        found: AppError = kind(self.sentence)
        return found


Told = Delta | Refused
Apart = Callable[[Request, str], Generator[Told]]  # the request, and the file whose being there says stop


class _Mine:
    """The lease of a model that nobody else can have: this process answers one request at a time."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    @property
    def model(self) -> LoadedModel:
        return self._model

    def ready(self, seconds: float) -> bool:
        return True

    def release(self) -> None:
        pass


class FixedEngine(Engine):
    """Runs models that are placed already and neither loads nor unloads any.

    `apart` is `answer_apart`, made to run in another process; `memory` the bytes of a GPU that is borrowed,
    and `missing` says why models that were named are not placed.
    """

    def __init__(
        self,
        rows: Mapping[str, Checkpoint],
        placed: Mapping[str, LoadedModel],
        run_apart: Callable[[Apart], Apart],
        memory: int,
        missing: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(rows, LocalBackend())
        self._placed = dict(placed)
        self._memory = memory
        self._missing = missing or {}
        self._run = run_apart(self.answer_apart)

    # --- in the process that is started for an answer -----------------------------------------

    def answer_apart(self, request: Request, stop: str) -> Generator[Told]:
        """The answer, with a `Refused` at the end of one that failed."""
        cores.single()  # OpenMP's threads are not there after a fork, and would be waited for
        loaded = self._placed[request.model]
        loaded.device = str(loaded.model.device)
        stopped = threading.Event()
        family = loaded.family
        answer = LocalAnswer(request, loaded.checkpoint, family, None, self.capacity, stopped)
        try:
            with ExitStack() as held:
                for delta in answer.run(_Mine(loaded), held):
                    yield delta
                    if Path(stop).exists():
                        stopped.set()
        except AppError as error:
            yield Refused(type(error).__name__, error.sentence)

    # --- in the process of the page -------------------------------------------------------------

    def _here(
        self, request: Request, checkpoint: Checkpoint, adapter: Adapter | None, stop: threading.Event
    ) -> Generator[Delta]:
        loaded = self._placed.get(checkpoint.id)
        if loaded is None or adapter is not None or request.precision not in ("auto", loaded.precision):
            raise ModelUnavailable(self._missing.get(checkpoint.id, FIXED))
        finish, tokens = Finish.FAILED, 0
        self._events.publish(Answering(checkpoint.id))
        try:
            with closing(_told(self._run, request, stop)) as deltas:
                for delta in deltas:
                    if delta.answer is not None:
                        finish, tokens = delta.answer.finish, delta.answer.usage.completion_tokens
                    yield delta
        finally:
            self._events.publish(Answered(checkpoint.id, finish, tokens))

    def warm(self, model: str, precision: str = "auto") -> None:
        """It is there already, or cannot be."""
        row = find(model, self._rows)
        if row.server:
            return
        if row.id not in self._placed:
            raise ModelUnavailable(self._missing.get(row.id, FIXED))
        loaded = self._placed[row.id]
        self._events.publish(Loaded(row.id, 0.0, loaded.bytes, loaded.precision))

    def state(self, model: str) -> ModelState:
        row = find(model, self._rows)
        loaded = self._placed.get(row.id)
        if loaded is None:
            why = self._missing.get(row.id, FIXED)
            return ModelState("failed", why, model=row.id, name=row.name)
        return ModelState(
            "ready",
            f"{row.name} is placed; a GPU is borrowed for each answer.",
            loaded.bytes,
            loaded.precision,
            "GPU",
            row.id,
            row.name,
        )

    def models(self) -> tuple[ModelState, ...]:
        return tuple(self.state(model) for model in self._placed)

    def unload(self, model: str, precision: str | None = None) -> None:
        raise ModelUnavailable(FIXED)

    def reserve(
        self, bytes: int, name: str, precision: str = "", taken: int = 0, work: str = "training"
    ) -> Reservation:
        raise ModelUnavailable(FIXED)

    def devices(self) -> tuple[Device, ...]:
        return (Device("cuda", "a borrowed GPU", self._memory, self._memory),)

    def capacity(self) -> int:
        return self._memory

    def fit(self, model: str, precision: str = "auto") -> Fit | None:
        """There is no choice to weigh."""
        return None

    def offers(self) -> tuple[Offer, ...]:
        return ()

    def adapters(self, model: str, owner: str | None = "") -> tuple[Adapter, ...]:
        """None: what is attached in one borrowed process is gone in the next."""
        return ()


def gpu_memory() -> int:
    """The bytes of the GPU that is lent, as the place says it; none needs to be there."""
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)


def _told(run: Apart, request: Request, stop: threading.Event) -> Generator[Delta]:
    """What the other process says, read by a thread of its own: who waits for a GPU can leave.

    Leaving ends the answer at its next word; while a GPU is waited for, as soon as there is one.
    """
    said: queue.Queue[Any] = queue.Queue()
    left = threading.Event()
    with tempfile.TemporaryDirectory(prefix="vlm-app.stop-") as folder:
        flag = Path(folder) / "stop"
        context = contextvars.copy_context()  # which says whose request it is, and so whose quota
        threading.Thread(
            target=context.run, args=(_pump, run, request, str(flag), said, left), daemon=True
        ).start()
        try:
            while True:
                if stop.is_set():
                    flag.touch()
                try:
                    item = said.get(timeout=BEAT)
                except queue.Empty:
                    yield Delta()
                    continue
                if item is None:
                    return
                if isinstance(item, Refused):
                    raise item.error()
                if isinstance(item, BaseException):
                    raise _failure(item) from item
                yield item
        finally:
            left.set()


def _pump(run: Apart, request: Request, flag: str, said: queue.Queue[Any], left: threading.Event) -> None:
    try:
        with closing(run(request, flag)) as items:
            for item in items:
                said.put(item)
                if left.is_set():
                    return
    except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
        said.put(error)
    finally:
        said.put(None)


def _failure(error: BaseException) -> AppError:
    """The place's own words (no GPU is free, a quota is used up) are for people; anything else is a bug."""
    _log.error("A borrowed process failed", exc_info=error)
    if "worker" in str(getattr(error, "title", "worker")):
        return GenerationFailed("The process with the borrowed GPU failed while answering: ask again.")
    words = str(getattr(error, "message", "")).strip(" .")
    return GenerationFailed(f"The GPU could not be borrowed: {words or 'try again in a while'}.")
