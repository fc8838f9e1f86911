"""The folder of a run: what it was asked to do, what it learns from, what it said, and what came of it.

    config.json          `RunConfig`
    data.json            what it learns from: `Data`
    data/train.jsonl     one example a line, as `vlm_app.finetune.examples` describes; `data/held_out.jsonl`
    data/images/         the pictures, each named by its hash
    status.json          `Status`
    events.jsonl         one `Event` a line
    stop                 is there when the run is to end
    checkpoints/         of the trainer
    adapter/             in PEFT's format, when all is taught
    answers.jsonl        what the held-out examples were answered without the adapter and with it
    child.log            what the trainer's process printed
    lock                 held by that process as long as it lives
    status.lock          held by who changes how a run without a process stands

Whatever is not written line by line is replaced at once. An older version of a file is read, or
refused with a sentence.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from vlm_app.errors import BadInput
from vlm_app.finetune.events import Event, State, Status
from vlm_app.finetune.examples import Example, example_to_dict
from vlm_app.finetune.kept_examples import KeptExamples
from vlm_app.finetune.lines import append_line, whole_lines
from vlm_app.finetune.locking import in_turn, locked
from vlm_app.finetune.run_config import RunConfig
from vlm_app.store.images import ImageFolder
from vlm_app.types import Picture

Kind = Literal["train", "held_out"]
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_LOOK_SECONDS = 1.0  # for which the lock may be held by who only looks
_SPARE = 65_536  # bytes kept free for the last words of a run whose disk is full
_M = TypeVar("_M", bound=BaseModel)


class Data(BaseModel):
    """What a run learns from: the dataset it was taken from, how many examples, and a hash of them all.

    `owner` is whose run it is, to whom its adapter belongs.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    owner: str = ""
    dataset: str = ""  # its id
    name: str = ""
    train: int = 0
    held_out: int = 0
    sha256: str = ""


class RunFolder:
    """One run on disk. Several processes may look at it; see `holding` for who writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # --- files ----------------------------------------------------------------------------

    @property
    def config(self) -> RunConfig:
        """What it was asked to do. Raises `BadInput` where that is missing, damaged or of another version."""
        return self._read("config.json", RunConfig)

    @property
    def data(self) -> Data:
        """What it learns from. Raises as `config` does."""
        return self._read("data.json", Data)

    @property
    def status(self) -> Status:
        """How it stands. Raises as `config` does."""
        return self._read("status.json", Status)

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """Where the adapter is, whole, once all is taught."""
        return self.path / "adapter"

    @property
    def answers(self) -> Path:
        """What the held-out examples were answered; `vlm_app.finetune.judging` reads it."""
        return self.path / "answers.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "child.log"

    @property
    def stop(self) -> Path:
        """A file that ends the run, with a checkpoint, while it is there."""
        return self.path / "stop"

    @property
    def pause(self) -> Path:
        """A file that ends the run, with a checkpoint, until the app is there again and goes on with it."""
        return self.path / "pause"

    @property
    def to_end(self) -> bool:
        """Whether who trains here is to end with a checkpoint."""
        return self.stop.exists() or self.pause.exists()

    @property
    def begun(self) -> bool:
        """Whether it ever joined the line: before, it is just being made."""
        return (self.path / "status.json").exists()

    def _read(self, name: str, kind: type[_M]) -> _M:
        try:
            text = (self.path / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._damaged(name, "cannot be read") from error
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            raise self._unknown(name, text) from error

    def _unknown(self, name: str, text: str) -> BadInput:
        with suppress(ValueError):
            found = json.loads(text)
            version = found.get("version") if isinstance(found, dict) else None
            if version not in (None, 1):
                return BadInput(
                    f"The file '{name}' of this run has version {version}, and this app reads version 1: "
                    "use the app that wrote it, or delete the run."
                )
        return self._damaged(name, "is damaged")

    @staticmethod
    def _damaged(name: str, what: str) -> BadInput:
        return BadInput(f"The file '{name}' of this run {what}: delete the run and start it again.")

    def _write(self, name: str, text: str) -> None:
        """Replaces a file at once. A folder that is gone is not made again."""
        handle, part = tempfile.mkstemp(dir=self.path, prefix=f".{name}")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(part, self.path / name)
        except OSError:
            Path(part).unlink(missing_ok=True)
            raise

    # --- making it ------------------------------------------------------------------------

    def write_config(self, config: RunConfig) -> None:
        self._write("config.json", config.model_dump_json(indent=1))

    def write_data(self, data: Data) -> None:
        self._write("data.json", data.model_dump_json(indent=1))

    def write_examples(self, kind: Kind, examples: Iterable[Example], images: ImageFolder) -> int:
        """Keeps examples with their pictures, which `images` has; returns how many.

        A picture is linked, so that it takes no room, and stays when the dataset lets go of it.
        """
        kept, count = ImageFolder(self.path / "data" / "images"), 0
        kept_at = self.path / "data"
        kept_at.mkdir(parents=True, exist_ok=True)
        with (kept_at / f"{kind}.jsonl").open("w", encoding="utf-8") as file:
            for example in examples:
                for picture in example.pictures:
                    _link(picture, images, kept)
                row = example_to_dict(example, [picture.sha256 for picture in example.pictures])
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        return count

    def examples(self, kind: Kind) -> KeptExamples:
        """The examples to learn from, or those held out; each is read when it is asked for.

        Raises `BadInput` with the file and line that cannot be read.
        """
        name = f"{kind}.jsonl"
        try:
            return KeptExamples(self.path / "data" / name, ImageFolder(self.path / "data" / "images"))
        except OSError as error:
            raise self._damaged(f"data/{name}", "cannot be read") from error

    # --- how it stands ----------------------------------------------------------------------

    def update(self, **changes: object) -> Status:
        """Changes some fields of the status, or begins it; returns it."""
        before = self.status.model_dump() if self.begun else {}
        now = Status.model_validate(before | changes | {"updated": time.time()})
        self._write("status.json", now.model_dump_json())
        return now

    def enter(self, state: State, sentence: str = "") -> Status:
        """It stands like this from now on, without a process. A full disk does not keep it from saying so."""
        try:
            return self.update(state=state, sentence=sentence, pid=None)
        except OSError:
            (self.path / "spare").unlink(missing_ok=True)
            return self.update(state=state, sentence=sentence, pid=None)

    def changing(self) -> AbstractContextManager[None]:
        """One at a time looks how a run without a process stands, and changes it."""
        return in_turn(self.path / "status.lock")

    def spare(self) -> None:
        """Keeps some room on the disk, for `enter` when it is full."""
        with (self.path / "spare").open("wb") as file:
            file.write(os.urandom(_SPARE))  # not zeros, which some disks keep in no room

    # --- what it said -----------------------------------------------------------------------

    def append(self, event: Event) -> None:
        """Adds an event, with the time where it has none. Half a line at the end is cut off first.

        Raises `OSError` on a full disk; what was there stays whole. One process writes at a time.
        """
        timed = event if event.at else event.model_copy(update={"at": time.time()})
        append_line(self.path / "events.jsonl", timed.model_dump_json().encode())

    def events(self, since: int = 0) -> tuple[tuple[Event, ...], int]:
        """The events from byte `since` on, and where the next ones begin.

        Half a line at the end is left for the next time; a line that cannot be read is skipped.
        """
        lines, then = whole_lines(self.path / "events.jsonl", since)
        return tuple(_events(lines)), then

    # --- the process that trains ------------------------------------------------------------

    @contextmanager
    def holding(self) -> Iterator[IO[bytes] | None]:
        """The lock of the run, for one process at a time; None where another one has it.

        It is held until every process that has this file open ended or closed it, however they
        end. Who starts the trainer gives it the file as its standard input, so that there is no
        moment in which nobody holds it.
        """
        if self._given():
            with open(0, "rb", closefd=False) as file:
                yield file
            return
        until = time.monotonic() + _LOOK_SECONDS  # somebody may just be looking whether it is held
        while True:
            with locked(self.path / "lock") as file:
                if file or time.monotonic() > until:
                    yield file
                    return
            time.sleep(0.02)

    def _given(self) -> bool:
        try:
            return os.path.samestat(os.fstat(0), (self.path / "lock").stat())
        except OSError:
            return False

    @property
    def held(self) -> bool:
        """Whether a process trains just now. Its end, also by kill -9, ends that at once."""
        if not (self.path / "lock").exists():
            return False
        with locked(self.path / "lock") as file:
            return file is None


def _events(lines: Iterable[bytes]) -> Iterator[Event]:
    for line in lines:
        with suppress(ValidationError):  # of a newer version, or what a dying disk left
            yield _EVENT.validate_json(line)


def _link(picture: Picture, images: ImageFolder, kept: ImageFolder) -> None:
    source, target = images.path(picture.sha256), kept.path(picture.sha256)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        kept.write(picture)
