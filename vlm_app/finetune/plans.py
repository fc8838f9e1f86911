"""What comes before a run starts: what it would take and learn from, a trial of it, and its folder."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vlm_app import catalog
from vlm_app.engine import Engine, Reservation, adapters
from vlm_app.errors import ModelUnavailable
from vlm_app.finetune import fitting
from vlm_app.finetune.earlier import taught_before
from vlm_app.finetune.estimate import Needs, needs
from vlm_app.finetune.examples import Dataset, Example, Examples, digest
from vlm_app.finetune.queue import trains
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import Data, RunFolder
from vlm_app.finetune.trial import SECONDS, Trial, trial
from vlm_app.store import Store
from vlm_app.store.database import told
from vlm_app.store.images import ImageFolder

if TYPE_CHECKING:
    from vlm_app.finetune.split import Split

_MEMORY_SECONDS = 15.0  # for idle models to make room for a trial
_LOOK_SECONDS = 0.2


class Plans:
    """Runs on a data folder that are not begun yet. What is somebody else's is `NotFound`."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._examples = Examples(store)
        self._images = ImageFolder(store.data / "images")
        self._root = store.data / "runs"

    def estimate(self, owner: str, config: RunConfig, dataset_id: str, tokens: int | None = None) -> Needs:
        """Memory and steps of a run; `tokens` of its longest example, where that is known.

        Raises `BadInput` for a dataset that the run cannot learn from, `ModelUnavailable` for a base that
        cannot be trained so, and `NotFound`.
        """
        taught, _ = self.sides(owner, config, dataset_id)
        counts = self._examples.answers(owner, dataset_id)
        rows = round(taught * fitting.lessons(config, counts) / fitting.fitting(config, counts))
        return needs(config, rows, tokens)

    def sides(self, owner: str, config: RunConfig, dataset_id: str) -> tuple[int, int]:
        """How many examples would be taught and how many held out, about. Raises as `estimate` does."""
        dataset = self._examples.dataset(owner, dataset_id)
        counts = self._examples.answers(owner, dataset.id)
        fitting.check(config, dataset.name, counts)
        size = fitting.fitting(config, counts)
        held = min(round(size * config.held_out), size - 1)
        return size - held, held

    def trial(
        self,
        owner: str,
        config: RunConfig,
        dataset_id: str,
        stop: threading.Event | None = None,
        seconds: float = SECONDS,
    ) -> Trial:
        """Measure a few steps of a run, with memory set aside as for one and without joining the line.

        Takes at most about `seconds`, and ends when `stop` is set. Raises `ModelUnavailable` with a
        sentence for that, while a run trains or memory is short, and as `make` does.
        """
        stop = stop or threading.Event()
        divided = self._divided(owner, self._examples.dataset(owner, dataset_id), config)
        if trains(self._root):
            raise ModelUnavailable(
                "A run trains here now, and would make a trial slow: measure again when it has ended."
            )
        name = f"a trial of {config.name}"
        bytes = needs(config, len(divided.train)).bytes
        with self._engine.reserve(bytes, name) as reservation:
            until = time.monotonic() + _MEMORY_SECONDS
            while not reservation.ready(_LOOK_SECONDS):
                if stop.is_set() or time.monotonic() > until:
                    raise ModelUnavailable(f"{reservation.sentence[:-1]}; end what uses it, or try it later.")
            with told(self._store.data):
                sides = (divided.train, divided.held_out)
                return trial(self._root, config, sides, self._images, stop.is_set, seconds)

    def make(self, id: str, owner: str, config: RunConfig, dataset_id: str) -> RunFolder:
        """The folder of a run, with a copy of the dataset's examples as they are now: all of it, or none.

        Raises `BadInput` for a dataset that the run cannot learn from, `NotFound`, `StoreUnavailable`,
        and what `adapters` raises for one to go on from.
        """
        dataset = self._examples.dataset(owner, dataset_id)
        divided = self._divided(owner, dataset, config)
        data = Data(
            owner=owner,
            dataset=dataset.id,
            name=dataset.name,
            train=fitting.fitting(config, fitting.counts(divided.train)),
            held_out=len(divided.held_out),
            sha256=_hash(divided.train, divided.held_out),
        )
        with told(self._store.data):
            return self._write(id, config, data, divided)

    def reserve(self, folder: RunFolder, used: int) -> Reservation:
        """Set aside the memory of a run, of which so many bytes are taken already."""
        config = folder.config
        needed = needs(config, folder.data.train)
        precision = "" if config.precision == "auto" else config.precision
        return self._engine.reserve(needed.bytes, config.name, precision, used)

    def _divided(self, owner: str, dataset: Dataset, config: RunConfig) -> Split:
        """What would be taught and what held out. Raises as `make` does."""
        from vlm_app.finetune.split import split

        if config.adapter:
            adapters.check(adapters.find(config.adapter, owner), catalog.find(config.base))
        examples = self._examples.examples(owner, dataset.id)
        fitting.check(config, dataset.name, fitting.counts(examples))
        divided = split(examples, config.held_out, config.seed, taught_before(self._root, config.adapter))
        fitting.check_taught(config, divided.train)
        return divided

    def _write(self, id: str, config: RunConfig, data: Data, divided: Split) -> RunFolder:
        part = self._root / f".{id}"
        part.mkdir(parents=True)
        try:
            folder = RunFolder(part)
            folder.write_examples("train", divided.train, self._images)
            folder.write_examples("held_out", divided.held_out, self._images)
            folder.write_data(data)
            folder.write_config(config)
            folder.spare()
            return RunFolder(part.rename(self._root / id))
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def _hash(*sides: Sequence[Example]) -> str:
    """Of what is taught and what is held out, in whatever order."""
    lines = [sorted(digest(each) for each in side) for side in sides]
    return hashlib.sha256(repr(lines).encode()).hexdigest()
