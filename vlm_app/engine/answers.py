"""The one way to run a model: `Engine.answer`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing

from vlm_app import catalog, families
from vlm_app.engine import adapters, remote_answer
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.backend import Backend
from vlm_app.engine.checks import check
from vlm_app.engine.cropping import Cropped, by_caption
from vlm_app.engine.devices import Device, devices
from vlm_app.engine.events import Answered, Answering, Broadcaster, Listener
from vlm_app.engine.local_answer import LocalAnswer
from vlm_app.engine.manager import Manager
from vlm_app.engine.memory import Fit, fit
from vlm_app.engine.offers import Offer, offers
from vlm_app.engine.package_answer import PackageAnswer
from vlm_app.engine.remote_answer import RemoteAnswer
from vlm_app.engine.reserving import Reservation
from vlm_app.engine.states import ModelState
from vlm_app.types import Checkpoint, Delta, Request, Runs


class Engine:
    """Runs the models of a catalog. Nothing is loaded before it is asked for.

    Models share a memory budget of `limit` bytes (None: what the device has free), and
    one that nobody has used for `idle_seconds` leaves it (0: never).
    """

    def __init__(
        self,
        rows: Mapping[str, Checkpoint],
        backend: Backend,
        limit: int | None = None,
        idle_seconds: float = 0.0,
    ) -> None:
        self._rows = rows
        self._events = Broadcaster()
        self._manager = Manager(backend, self._events, limit, idle_seconds)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear every event of `vlm_app.engine.events`, until the returned function is called."""
        return self._events.subscribe(listener)

    # --- what is in memory --------------------------------------------------------------

    def warm(self, model: str, precision: str = "auto") -> None:
        """Begin to load a model in the background. An unknown id raises `ModelUnavailable`."""
        row = catalog.find(model, self._rows)
        if not row.server:
            self._manager.warm(row, precision)

    def state(self, model: str) -> ModelState:
        """How a model is now. An unknown id raises `ModelUnavailable`."""
        row = catalog.find(model, self._rows)
        return remote_answer.state(row) if row.server else self._manager.state(row)

    def models(self) -> tuple[ModelState, ...]:
        """Every model that is in memory, on its way there, or failed to get there."""
        return self._manager.states()

    def unload(self, model: str, precision: str | None = None) -> None:
        """Unload a model, in every precision or in one, as soon as nobody holds it."""
        self._manager.unload(model, precision)

    def cancel(self, model: str, precision: str | None = None) -> None:
        """End the loading of a model; those who wait for it are told."""
        self._manager.cancel(model, precision)

    def forget(self, owner: str) -> None:
        """Let every model forget what one owner said and showed, and keep nothing of what is under way."""
        self._manager.forget(owner)

    def reserve(
        self, bytes: int, name: str, precision: str = "", taken: int = 0, work: str = "training"
    ) -> Reservation:
        """Set memory aside for a process of ours that is no model, such as a training.

        It stands in the line for memory like a model: idle ones are evicted for it, busy ones
        waited for. It is one of `models()`, as `work` with its name, until it is released. With
        `taken` bytes that the process has already it waits for nobody. Raises
        `ModelUnavailable`, with the numbers, where models can never have so much here.
        """
        return self._manager.reserve(bytes, name, precision, devices()[0].name, taken, work)

    @property
    def leases(self) -> dict[str, int]:
        """How many requests hold or wait for each model; models without any are left out."""
        return self._manager.leases()

    def close(self) -> None:
        """End every load and unload every model."""
        self._manager.close()

    # --- what would fit -----------------------------------------------------------------

    def devices(self) -> tuple[Device, ...]:
        """The devices of this computer as they are now, the one that models are loaded on first."""
        return devices()

    def capacity(self) -> int:
        """The bytes that a model could have if all that are idle were unloaded."""
        return self._manager.capacity()

    def fit(self, model: str, precision: str = "auto") -> Fit | None:
        """Whether a model would fit here; None where its size is not known. Asks no network."""
        return fit(catalog.find(model, self._rows), self.capacity(), precision)

    def offers(self) -> tuple[Offer, ...]:
        """Models for a first start on this computer, the best first."""
        return offers(self._rows.values(), self.capacity(), self.devices()[0])

    def adapters(self, model: str, owner: str | None = "") -> tuple[Adapter, ...]:
        """The adapters that were made for a model and that a visitor may use; None: all of them.

        There are none for a model on a server, which has its own.
        """
        row = catalog.find(model, self._rows)
        if row.server:
            return ()
        return tuple(each for each in adapters.installed(owner) if adapters.made_for(each, row))

    # --- answers ------------------------------------------------------------------------

    def answer(self, request: Request, stop: threading.Event | None = None) -> Generator[Delta]:
        """Stream an answer. The last delta carries the whole `Answer`.

        While nothing happens (the model loads, is busy, or reads the prompt) empty deltas
        come, so that a reader can leave at any time: closing the generator ends the
        generation within one token and frees the model. Setting `stop` ends it as well,
        with an answer that is CANCELLED.

        When the last turn is the assistant's, the answer goes on from its text (the `raw`
        of the answer so far): the deltas hold what is new, the `Answer` the whole.

        A model that cannot describe a part of an image but can caption is shown that part, with
        a margin, and asked for a caption (`can` tells); the note of what it saw says so.

        Raises `ModelUnavailable`, `BadInput` (before any text), and `GenerationFailed`,
        before which a last delta brings the answer so far, as FAILED with its sentence.
        """
        checkpoint = catalog.find(request.model, self._rows)
        family = families.get(checkpoint.family)
        if by_caption(checkpoint, request.task):
            cropped = Cropped.of(request, family.closeups)
            with closing(self.answer(cropped.request, stop)) as captions:
                yield from cropped.deltas(captions)
            return
        adapter = check(request, checkpoint, family)
        stop = stop or threading.Event()
        if checkpoint.server:
            yield from self._told(RemoteAnswer(request, checkpoint, family, stop), checkpoint)
            return
        yield from self._here(request, checkpoint, adapter, stop)

    def _here(
        self, request: Request, checkpoint: Checkpoint, adapter: Adapter | None, stop: threading.Event
    ) -> Generator[Delta]:
        """The answer of a model that this computer runs."""
        answer: LocalAnswer | PackageAnswer
        if checkpoint.runs is Runs.PACKAGE:
            answer = PackageAnswer(request, checkpoint, stop)
        else:
            family = families.get(checkpoint.family)
            answer = LocalAnswer(request, checkpoint, family, adapter, self.capacity, stop)
        with ExitStack() as held:
            lease = held.enter_context(self._manager.lease(checkpoint, request.precision))
            try:
                yield from answer.run(lease, held)
            finally:
                self._events.publish(Answered(checkpoint.id, answer.finish, answer.tokens))

    def _told(self, answer: RemoteAnswer, checkpoint: Checkpoint) -> Generator[Delta]:
        self._events.publish(Answering(checkpoint.id))
        try:
            yield from answer.run()
        finally:
            self._events.publish(Answered(checkpoint.id, answer.finish, answer.tokens))
