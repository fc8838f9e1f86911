"""Decoding the answers of one model together: they join and leave at any token."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from vlm_app.engine import adapters
from vlm_app.engine.batching import crossing, prefill
from vlm_app.engine.batching.able import goes_on
from vlm_app.engine.batching.caches import BatchCache
from vlm_app.engine.batching.choosing import Chooser, choose
from vlm_app.engine.batching.graphs import Record, Steps, recorded
from vlm_app.engine.batching.prefixes import Prefixes
from vlm_app.engine.batching.rows import Row
from vlm_app.engine.loaded import LoadedModel

BESIDE = 4  # times as much as on the device is kept in the computer's own memory
MEASURED_SECONDS = 0.25
STALL_SECONDS = 0.1  # for so long new prompts are read at a time while others wait for their next token


class Batch:
    """Rows with one adapter, and what the model needs for their next tokens."""

    def __init__(self, row: Row, begun: prefill.Begun, record: Record | None = None) -> None:
        self.rows = [row]
        self._steps = Steps(None if begun.beside else record)
        self.cache: BatchCache = begun.cache
        self.logits = begun.logits
        self.positions = begun.positions
        self.beside = begun.beside

    @property
    def key(self) -> Hashable:
        """Only rows of which this is the same can be decoded together."""
        return self.rows[0].adapter_id, crossing.shape(self.beside, self.cache)

    def join(self, other: Batch) -> None:
        """Take in what belongs to the rows of another batch."""
        self._steps.changed()
        self.cache.join(other.cache)
        self.logits = torch.cat([self.logits, other.logits])
        self.positions = torch.cat(_alike(self.positions, other.positions), dim=-2)
        self.beside = crossing.joined(self.beside, other.beside)

    def keep(self, places: list[int]) -> None:
        """Let go of all other rows."""
        self._steps.changed()
        self.rows = [self.rows[place] for place in places]
        self.cache.keep(places)
        chosen = torch.tensor(places, device=self.logits.device)
        self.logits = self.logits[chosen]
        self.positions = self.positions.index_select(-2, chosen)
        self.beside = crossing.chosen(self.beside, chosen)

    def step(self, model: Any, tokens: torch.Tensor) -> None:
        """The model reads a token of each row."""
        plain = partial(prefill.step, images=self.beside)
        self.logits = self._steps.step(plain, model, self.cache, tokens, self.positions)
        self.positions = self.positions + 1


def _alike(one: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
    """Positions along one axis as such along several, where the others have several."""
    axes = max(one.ndim, other.ndim)
    size = max((each.shape[0] for each in (one, other) if each.ndim == 3), default=1)
    return [each if each.ndim == axes else each.expand(size, *each.shape) for each in (one, other)]


class Decoder:
    """Decodes the answers of one loaded model, at most `room` at a time.

    Its thread ends when no answer is left. What was read stays for follow-ups, in at most `keep` bytes.
    """

    def __init__(self, loaded: LoadedModel, room: int, keep: int) -> None:
        self.room = room
        self._loaded: LoadedModel | None = loaded
        self.prefixes: Prefixes | None = None
        if keep and goes_on(loaded.model):
            beside = BESIDE * keep if loaded.device != "cpu" else 0
            self.prefixes = Prefixes(_placeholders(loaded.model.config), keep, beside)
        self._measured, self._left = 0.0, 0  # when memory was last looked at, and what is left of it
        self._record: Record | None = recorded if loaded.device.startswith("cuda") else None
        self.read = self.known = 0  # tokens of all prompts so far, and how many of them were not read again
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
        others = self.running - 1
        return kept + (self._row_bytes(self._longest()) * others if others > 0 else 0)

    def shed(self) -> int:
        """Let go of what is kept for follow-ups; how many bytes of the device's memory that were."""
        return self.prefixes.clear() if self.prefixes is not None else 0

    def forget(self, owner: str | None) -> None:
        """Let go of what was said by one owner; nothing is kept of their answers under way either."""
        with self._changed:
            waiting = list(self._waiting)
        rows = [row for batch in list(self._batches.values()) for row in batch.rows]
        for row in (row for row in (*waiting, *rows) if row.owner == owner):
            row.fleeting = True
        if self.prefixes is not None:
            self.prefixes.forget(owner)

    def submit(self, row: Row) -> None:
        """Decode a row, together with those that are there."""
        with self._changed:
            self._waiting.append(row)
            if self._thread is None:
                name = f"decode {self._model.checkpoint.id}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

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
        while self._go_on():
            try:
                with torch.inference_mode():
                    self._round()
            except BaseException as error:  # noqa: BLE001 - raised again where the answers are read
                self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        """Nobody may wait for ever."""
        with self._changed:
            rows = [*self._waiting, *(row for batch in self._batches.values() for row in batch.rows)]
            self._waiting.clear()
            self._batches = {}
        for row in rows:
            row.end(error)

    def _go_on(self) -> bool:
        """Whether there is anything to do; when not, the thread is over."""
        with self._changed:
            if self._waiting or self._batches:
                return True
            self._thread = None
            return False

    def _round(self) -> None:
        """Read what waits, for a while, and then a token for everybody."""
        until = time.monotonic() + STALL_SECONDS
        while (row := self._next()) is not None:
            self._begin(row)
            if time.monotonic() > until:
                break
        for batch in list(self._batches.values()):
            with self._answering(batch):
                self._step(batch)

    @contextmanager
    def _answering(self, batch: Batch) -> Iterator[None]:
        """Whatever goes wrong, everybody in this batch is told, and nobody else is disturbed."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - raised again where the answers are read
            self._end(batch)
            for row in batch.rows:
                row.end(error)

    def _end(self, batch: Batch) -> None:
        self._batches = {key: each for key, each in self._batches.items() if each is not batch}

    def _next(self) -> Row | None:
        """The next row, where there is room for it; the first one always gets what was planned for it."""
        with self._changed:
            gone = [row for row in self._waiting if row.stopped()]
            self._waiting = deque(row for row in self._waiting if row not in gone)
            row = self._waiting[0] if self._waiting and self.running < self.room else None
            if row is not None and (not self.running or self._fits(row)):
                self._waiting.popleft()
            else:
                row = None
        for each in gone:
            each.end()
        return row

    def _fits(self, row: Row) -> bool:
        """Whether the cache of another row has room; what is kept for follow-ups leaves for it."""
        needed = self._row_bytes(max(self._longest(), row.tokens))
        if needed > self._spare() and self.shed():
            self._measured = 0.0
        if needed > self._spare():
            return False
        self._left -= needed
        return True

    def _spare(self) -> int:
        """Bytes that may be taken, measured now and then: that takes as long as a small model's token."""
        now = time.monotonic()
        if now - self._measured > MEASURED_SECONDS:
            self._measured, self._left = now, self._model.spare()
        return self._left

    def _longest(self) -> int:
        rows = (row for batch in list(self._batches.values()) for row in batch.rows)
        return max((row.tokens for row in rows), default=0)

    def _row_bytes(self, tokens: int) -> int:
        """Bytes of the cache for a row of so many tokens, as those of the rows that are there."""
        caches = [batch.cache for batch in list(self._batches.values())]
        return max((cache.token_bytes for cache in caches), default=0) * tokens

    def _begin(self, row: Row) -> None:
        """Read a prompt, and let the row join those with its adapter."""
        loaded = self._model
        try:
            adapters.use(loaded, row.adapter)
            row.chooser = Chooser(loaded, row.ids, row.limit, row.sampling)
            begun = prefill.read(loaded, row, self.prefixes)
        except BaseException as error:  # noqa: BLE001 - raised again where the answer is read
            return row.end(error)
        self.read += row.prompt
        self.known += row.cached
        batch = Batch(row, begun, self._record)
        there = self._batches.setdefault(batch.key, batch)
        if there is not batch:
            there.rows += batch.rows
            with self._answering(there):
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
        if stay:
            batch.keep(stay)
            tokens = tokens[torch.tensor(stay, device=tokens.device)]
        else:
            self._end(batch)
            batch.rows = []
        for row in rows:
            row.end()
        return tokens

    def _remember(self, batch: Batch, place: int, row: Row) -> None:
        if self.prefixes is None or row.fleeting:
            return
        bytes = batch.cache.token_bytes * len(row.ids)
        if self.prefixes.make_room(row, bytes, self._spare()):
            self._left -= bytes
            self.prefixes.keep(row, batch.cache.kept(place))


def _placeholders(config: Any) -> frozenset[int]:
    """The tokens that stand for images and frames, by the names that configurations give them."""
    names: Iterable[str] = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")
    return frozenset(id for name in names if isinstance(id := getattr(config, name, None), int))
