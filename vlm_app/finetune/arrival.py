"""A dataset on its way in: how far it is, where it lies, and how its files are written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import IO

from vlm_app import limits
from vlm_app.errors import AppError, BadInput, NotFound, TooMuch
from vlm_app.finetune.uploads import Report
from vlm_app.finetune.uploads.archive import MOST_BYTES, SPARE
from vlm_app.finetune.uploads.workroom import free_bytes, workroom
from vlm_app.store.database import told
from vlm_app.store.disk import Reservation, mb

_WAITS = 24 * 3600.0  # seconds for a decision, and for which what became of it is kept
_SILENCE = 15 * 60.0  # seconds without a byte after which nobody sends any more
GONE = "This upload has ended or is not yours: upload the dataset again."


class Stage(StrEnum):
    """How far an arrival is."""

    RECEIVING = "receiving"
    WAITING = "waiting"  # for its turn
    CHECKING = "checking"
    ASKING = "asking"  # rows are bad: are the others to be added?
    ADDING = "adding"
    DONE = "done"
    FAILED = "failed"


ENDED = (Stage.DONE, Stage.FAILED)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A dataset on its way in, as it is now.

    `dataset` is where it goes: an id, or empty until a new one is made for it. `bytes` of `total` have
    come. `report` says what was found so far, or what was done; `sentence` why it failed.
    """

    id: str
    owner: str
    name: str
    dataset: str = ""
    stage: Stage = Stage.RECEIVING
    bytes: int = 0
    total: int = 0
    report: Report = field(default_factory=Report)
    sentence: str = ""

    @property
    def problems(self) -> bool:
        """Whether a person should look before anything is added."""
        return self.report.left_out > 0


class Room:
    """Where an arrival lies, what is known of it, and what is reserved for it."""

    def __init__(self, arrival: Arrival, reserved: Reservation) -> None:
        self.arrival = arrival
        self.reserved = reserved
        self.stop = Event()
        self.close = ExitStack()
        self.close.enter_context(reserved)
        self.folder = self.close.enter_context(workroom())
        self.files: list[Path] = []
        self.touched = time.monotonic()

    def now(self, **changes: object) -> None:
        self.arrival = replace(self.arrival, **changes)  # type: ignore[arg-type]
        self.touched = time.monotonic()

    @property
    def whole(self) -> Path:
        """The dataset: its file, or the folder of several."""
        return self.files[0] if len(self.files) == 1 else self.files[0].parent

    @property
    def abandoned(self) -> bool:
        silent = time.monotonic() - self.touched
        if self.arrival.stage is Stage.RECEIVING:
            return silent > _SILENCE
        return self.arrival.stage in (Stage.ASKING, *ENDED) and silent > _WAITS


class Receiving:
    """A file that comes piece by piece. To be closed; until it is, it does not count as whole."""

    def __init__(self, room: Room, file: IO[bytes], failed: Callable[[AppError], None]) -> None:
        self._room = room
        self._file = file
        self._failed = failed

    def write(self, piece: bytes) -> None:
        """Raises `BadInput` where it is too much or was stopped, `StoreUnavailable` on a full disk."""
        room = self._room
        if room.stop.is_set():
            raise NotFound(GONE)
        so_far = room.arrival.bytes + len(piece)
        try:
            if so_far > MOST_BYTES or so_far > room.arrival.total:
                check_room(room.arrival.name, so_far)
                check_share(room, so_far)  # more comes than was announced
                room.now(total=so_far)
            with told(room.folder):
                self._file.write(piece)
            room.reserved.wrote(len(piece))
            room.now(bytes=so_far)
        except AppError as error:
            self._failed(error)
            raise

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


def check_room(name: str, total: int) -> None:
    """Raises `BadInput` for more than is taken, or than the disk has room for."""
    if total > MOST_BYTES:
        raise BadInput(
            f"'{name}' has {total / 1e9:,.1f} GB, and at most {MOST_BYTES / 1e9:,.0f} GB come at "
            "once: divide it."
        )
    if total > free_bytes() - SPARE:
        raise BadInput(
            f"'{name}' has {total / 1e6:,.0f} MB, more than is free below the data folder: make room first."
        )


def check_share(room: Room, total: int) -> None:
    """Raises `TooMuch` for more than its owner has room for."""
    if not room.reserved.covers(total):
        allowed = limits.of(room.arrival.owner)
        raise TooMuch(
            f"At most {mb(allowed.disk or 0)} are kept for {allowed.a_role}, and '{room.arrival.name}' is "
            "larger than what is left: delete what you no longer need, and try again."
        )


def shown(name: str) -> str:
    """What a person calls it, on one line."""
    return "".join(each for each in name if each.isprintable()).strip()[:120] or "dataset"


def safe(name: str, taken: set[str]) -> str:
    """The last part of a name as a file's name that is free; nothing of it leads elsewhere."""
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^\w .()+-]", "_", last).strip(". ")[-120:] or "file"
    while plain in taken:
        plain = f"_{plain}"
    return plain
