"""What is in a dataset, at a glance: counted by task and label, and divided into what is taught and
what is held out.

Dividing looks at every picture, which takes long for thousands of them: it is done in a thread of its
own, and again only for what changed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock

from vlm_app.finetune.examples import Dataset, Example, Examples
from vlm_app.finetune.likeness import likeness, looked_at
from vlm_app.finetune.preview import Counts, counts
from vlm_app.finetune.split import labels, split
from vlm_app.types import Task

_KEPT = 16  # overviews
_AT_ONCE = 100  # examples whose pictures are open together
_PATIENCE = 0.4  # seconds that somebody waits for one that is being made

_Key = tuple[str, datetime, float, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """A dataset at a glance.

    `ids` are all examples, the oldest first; `held_out` those that a run would not teach; `named` has
    the task and the labels of each. `sentence` says how it was divided.
    """

    counts: Counts
    ids: tuple[str, ...]
    held_out: frozenset[str]
    named: Mapping[str, tuple[Task, tuple[str, ...]]]
    sentence: str

    def only(self, task: Task | None = None, label: str = "", held_out: bool | None = None) -> Iterator[str]:
        """The examples of a task, with a label, on one side of the split."""
        for id in self.ids:
            its, names = self.named[id]
            sided = held_out is None or (id in self.held_out) is held_out
            if sided and task in (None, its) and (not label or label in names):
                yield id


class Overviews:
    """The overviews of all datasets, the last ones kept. Safe to use from several threads."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self._workers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="overviews")
        self._closed = Event()
        self._lock = Lock()
        self._known: OrderedDict[_Key, Future[Overview]] = OrderedDict()

    def close(self) -> None:
        """What is being made is left."""
        self._closed.set()
        self._workers.shutdown(wait=True, cancel_futures=True)

    def of(self, dataset: Dataset, share: float, seed: int, patience: float = _PATIENCE) -> Overview | None:
        """The overview of a dataset that the asker owns; None while it is being made.

        `share` and `seed` are those of the split. Raises `NotFound` where an image is missing.
        """
        key = (dataset.id, dataset.updated, share, seed)
        with self._lock:
            making = self._known.get(key)
            if making is None:
                making = self._workers.submit(self._made, dataset, share, seed)
            self._known[key] = making
            self._known.move_to_end(key)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)[1].cancel()
        try:
            return making.result(patience)
        except TimeoutError:
            return None
        except CancelledError:  # to make room, or because the app ends: asked again, it is made again
            self._forget(key)
            return None
        except BaseException:
            self._forget(key)
            raise

    def _forget(self, key: _Key) -> None:
        with self._lock:
            self._known.pop(key, None)

    def _made(self, dataset: Dataset, share: float, seed: int) -> Overview:
        examples = self._examples.examples(dataset.owner, dataset.id)
        self._look(dataset.owner, [each.id for each in examples if not all(map(looked_at, each.pictures))])
        divided = split(examples, share, seed)
        return Overview(
            counts(examples),
            tuple(each.id for each in examples),
            frozenset(each.id for each in divided.held_out),
            {each.id: (each.task, labels(each)) for each in examples},
            divided.sentence,
        )

    def _look(self, owner: str, ids: Sequence[str]) -> None:
        """Looks at pictures, of which few are in memory at a time; how they look is kept."""
        for start in range(0, len(ids), _AT_ONCE):
            for held in self._examples.held(owner, ids[start : start + _AT_ONCE]):
                if self._closed.is_set():
                    raise CancelledError
                _look(held.example)


def _look(example: Example) -> None:
    for picture in example.pictures:
        likeness(picture)
