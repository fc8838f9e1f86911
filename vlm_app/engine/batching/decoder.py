"""Decoding the answers of one model together: they join and leave at any token."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from vlm_app.engine import adapters, cores
from vlm_app.engine.batching import prefill
from vlm_app.engine.batching.able import goes_on, spread
from vlm_app.engine.batching.batches import Batch
from vlm_app.engine.batching.budget import Memory
from vlm_app.engine.batching.choosing import Chooser, choose
from vlm_app.engine.batching.graphs import Recorder, recorded
from vlm_app.engine.batching.prefixes import Prefixes
from vlm_app.engine.batching.rows import Row
from vlm_app.engine.loaded import LoadedModel

_log = logging.getLogger(__name__)
BESIDE = 4  # times as much as on the device is kept in the computer's own memory
STALL_SECONDS = 0.1  # for so long new prompts are read at a time while others wait for their next token
LONG_SECONDS = 1.0  # after a prompt that takes longer the others get tokens before the next one is read


class Decoder:
    """Decodes the answers of one loaded model, at most `room` at a time.

    Its thread ends when no answer is left. What was read stays for follow-ups, in at most `keep` bytes.
    """

    def __init__(self, loaded: LoadedModel, room: int, keep: int) -> None:
        self.room = room
        self._loaded: LoadedModel | None = loaded
        self._name = loaded.checkpoint.id
        self.prefixes: Prefixes | None = None
        if keep and goes_on(loaded.model):
            beside = BESIDE * keep if loaded.device != "cpu" else 0
            self.prefixes = Prefixes(_placeholders(loaded.model.config), keep, beside)
        cuda = loaded.device.startswith("cuda") and not spread(loaded.model)
        self._recorder = Recorder(recorded if cuda else None)
        self._memory = Memory(loaded, self.prefixes)
        self._owed = 0.0  # seconds of decoding, after a long prompt, before the next one is read
        self.read = self.known = 0  # tokens of all prompts so far, and how many of them were not read again
        self._alive: list[Row] = []  # until they end
        self._waiting: deque[Row] = deque()
        self._batches: dict[Hashable, Batch] = {}
        self._changed = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> int:
        """How many answers are being decoded."""
        return sum(len(batch.rows) for batch in list(self._batches.values()))

    @property
    def bytes(self) -> int:
        """What it takes on the model's device beside one answer: other answers, and what it keeps."""
        kept = self.prefixes.bytes if self.prefixes is not None else 0
        running = max(self.running, 1)
        return kept + sum(batch.bytes for batch in list(self._batches.values())) * (running - 1) // running

    def shed(self) -> int:
        """Let go of what is kept for follow-ups; how many bytes of the device's memory that were."""
        return self.prefixes.clear() if self.prefixes is not None else 0

    def forget(self, owner: str | None) -> None:
        """Let go of what was said by one owner; nothing is kept of their answers under way either."""
        with self._changed:
            for row in self._alive:
                row.fleeting = row.fleeting or row.owner == owner
        if self.prefixes is not None:
            self.prefixes.forget(owner)

    def submit(self, row: Row) -> None:
        """Decode a row, together with those that are there. Raises `RuntimeError` without a thread for it."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"decode {self._name}", daemon=True)
                thread.start()  # it waits for the lock
                self._thread = thread
            self._alive.append(row)
            self._waiting.append(row)

    def close(self) -> None:
        """Let go of the model."""
        self._loaded = None

    @property
    def _model(self) -> LoadedModel:
        if self._loaded is None:
            raise RuntimeError("this decoder's model was unloaded")
        return self._loaded

    # --- in the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        with cores.shared():
            while self._go_on():
                try:
                    cores.share()
                    with torch.inference_mode(), self._device():
                        self._round()
                except BaseException as error:  # noqa: BLE001 - raised again where the answers are read
                    self._end(list(self._alive), error)

    def _device(self) -> AbstractContextManager[Any]:
        """The model's GPU as this thread's own: graphs are recorded there."""
        device = self._model.device
        return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()

    def _go_on(self) -> bool:
        """Whether there is anything to do; when not, the thread is over."""
        with self._changed:
            if self._alive:
                return True
            self._thread = None
            return False

    def _end(self, rows: Iterable[Row], error: BaseException | None = None) -> None:
        """These rows end, wherever they are."""
        for row in rows:
            with self._changed:
                self._alive = [each for each in self._alive if each is not row]
                self._waiting = deque(each for each in self._waiting if each is not row)
            for batch in [each for each in self._batches.values() if row in each.rows and error]:
                self._drop(batch)
            row.end(error)

    def _drop(self, batch: Batch) -> None:
        self._batches = {key: each for key, each in self._batches.items() if each is not batch}

    def _round(self) -> None:
        """Read what waits, for a while, and then a token for everybody."""
        self._end([row for row in list(self._waiting) if row.stopped()])
        begun = time.monotonic()
        while self._owed <= 0 and (row := self._next()) is not None:
            self._begin(row)
            if (spent := time.monotonic() - begun) > STALL_SECONDS:
                self._owed = spent / 2 if spent > LONG_SECONDS else 0.0
                break
        begun = time.monotonic()
        for batch in list(self._batches.values()):
            with self._answering(batch):
                self._step(batch)
        self._owed = max(0.0, self._owed - (time.monotonic() - begun)) if self._batches else 0.0

    @contextmanager
    def _answering(self, batch: Batch, *joining: Row) -> Iterator[None]:
        """Whatever goes wrong, everybody in this batch is told, and nobody else is disturbed."""
        rows = [*batch.rows, *joining]
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - raised again where the answers are read
            self._drop(batch)
            self._end({*rows, *batch.rows}, error)

    def _next(self) -> Row | None:
        """The next row, where there is room for it; the first one always gets what was planned for it."""
        row = self._waiting[0] if self._waiting and self.running < self.room else None
        if row is None or not self._has_adapter(row):
            return None
        batches = list(self._batches.values())
        if batches and not self._memory.fits(batches, row.tokens):
            return None
        with self._changed:
            self._waiting.popleft()
        return row

    def _has_adapter(self, row: Row) -> bool:
        """Whether its adapter may be attached: those that are answering stay."""
        busy = frozenset(id for batch in self._batches.values() if (id := batch.adapter_id) is not None)
        self._model.busy = busy
        return row.adapter_id is None or row.adapter_id in busy or len(busy) < adapters.WARM

    def _begin(self, row: Row) -> None:
        """Read a prompt, and let the row join those with its adapter."""
        try:
            loaded = self._model
            adapters.use(loaded, row.adapter)
            row.chooser = Chooser(loaded, row.ids, row.limit, row.sampling)
            batch = Batch(row, prefill.read(loaded, row, self.prefixes), self._recorder)
            row.inputs = {}
            self.read += row.prompt
            self.known += row.cached
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is read
            return self._end([row], error)
        there = self._batches.setdefault(batch.key, batch)
        if there is not batch:
            with self._answering(there, row):
                there.join(batch)

    def _step(self, batch: Batch) -> None:
        """A token for each row; those that ended leave, and for the others the model reads it."""
        tokens = choose(batch.rows, batch.logits)
        told = [
            row.stopped() or row.add(token) for row, token in zip(batch.rows, tokens.tolist(), strict=True)
        ]
        ended = [place for place, last in enumerate(told) if last]
        if ended:
            tokens = self._leave(batch, ended, tokens)
        if batch.rows:
            adapters.use(self._model, batch.rows[0].adapter)
            batch.step(self._model.model, tokens)

    def _leave(self, batch: Batch, ended: list[int], tokens: torch.Tensor) -> torch.Tensor:
        """Rows that ended are kept for their follow-ups; the tokens of the others."""
        rows = [batch.rows[place] for place in ended]
        stay = [place for place in range(len(batch.rows)) if place not in ended]
        for place, row in zip(ended, rows, strict=True):
            self._remember(batch, place, row)
        if not stay:
            self._drop(batch)
            batch.rows = []
        self._end(rows)
        if stay:
            batch.keep(stay)
            tokens = tokens[torch.tensor(stay, device=tokens.device)]
        return tokens

    def _remember(self, batch: Batch, place: int, row: Row) -> None:
        """Keep a row for its follow-up; its answer is whole whether that can be done or not."""
        if self.prefixes is None or row.fleeting:
            return
        bytes = batch.cache.token_bytes * len(row.ids)
        try:
            if self.prefixes.make_room(row, bytes, self._memory.spare(self._batches.values())):
                self.prefixes.keep(row, batch.cache.kept(place))
        except (RuntimeError, MemoryError):
            _log.warning("An answer of %s could not be kept for its follow-up", self._name, exc_info=True)


def _placeholders(config: Any) -> frozenset[int]:
    """The tokens that stand for images and frames, by the names that configurations give them."""
    names: Iterable[str] = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")
    return frozenset(id for name in names if isinstance(id := getattr(config, name, None), int))
