"""Merging in a process of its own, which gives all of its memory back.

The child answers on its standard output, one JSON object a line: `{"said": "…"}` while it goes on,
and at its end `{"done": true}` or `{"failed": "…"}`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_app import catalog
from vlm_app.engine import Engine, adapters, set_library_defaults
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.memory import estimate
from vlm_app.engine.slots import in_words
from vlm_app.errors import AppError, BadInput, ModelUnavailable, NotFound
from vlm_app.finetune.adapters.card import Card
from vlm_app.finetune.adapters.keeping import README, row_of
from vlm_app.finetune.adapters.readme import readme
from vlm_app.finetune.locking import locked
from vlm_app.settings import ROOT
from vlm_app.types import Checkpoint

_CHILD = ("-m", "vlm_app.finetune.adapters.merging")
_WAIT = 0.5  # seconds between two looks whether there is memory
_RESERVE = 1.1  # what a library takes on top


def merge(engine: Engine, adapter: Adapter, card: Card, folder: Path, tell: Callable[[str], None]) -> Path:
    """A folder in `folder` with the merged model; as `Adapters.merge` says. Raises `OSError` as well."""
    row = row_of(card.base)
    if row is None:
        raise NotFound(f"The base '{card.base}' is not among the models here: add it first, then merge.")
    target = place(card, folder)
    with alone(folder):
        if not target.is_dir():
            _make(engine, adapter, card, row, target, tell)
    return target


def place(card: Card, folder: Path) -> Path:
    """Where in `folder` the merged model of this card lies, or will."""
    return folder / (re.sub(r"[^a-z0-9]+", "-", card.name.lower()).strip("-")[:60] or "merged")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While nobody else makes a merged model in a folder, or removes it. Raises `BadInput` while one does."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{folder.name}.lock")) as ours:
        if ours is None:
            raise BadInput("This adapter is being merged just now: wait until that has ended.")
        yield


def _make(
    engine: Engine, adapter: Adapter, card: Card, row: Checkpoint, target: Path, tell: Callable[[str], None]
) -> None:
    """The folder with the merged model, whole or not at all."""
    folder, precision = target.parent, card.precision or "auto"
    wanted, written = _needs(row, precision)
    _check_disk(folder, written)
    part = folder / ".part"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with engine.reserve(wanted, card.name, precision, work="merging") as reservation:
            while not reservation.ready(_WAIT):
                tell(reservation.sentence)
            _run([row.id, precision, adapter.id, str(part)], tell)
        (part / README).write_text(readme(card, row, merged=True), encoding="utf-8")
        card.model_copy(update={"owner": ""}).write(part)
        part.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _needs(row: Checkpoint, precision: str) -> tuple[int, int]:
    """Bytes of memory while the base is there in both precisions, and bytes that are written."""
    loaded, whole = estimate(row, precision), estimate(row, "fp32")
    written = whole.weights if whole else 4 * row.parameters
    return round(_RESERVE * (written + (loaded.weights if loaded else written))), written


def _check_disk(folder: Path, bytes: int) -> None:
    root = next(path for path in folder.parents if path.is_dir())
    free = shutil.disk_usage(root).free
    if free < bytes:
        raise ModelUnavailable(
            f"The merged model takes {in_words(bytes)} on the disk, and {in_words(free)} are free: make "
            "room, then merge again."
        )


def _run(arguments: list[str], tell: Callable[[str], None]) -> None:
    """The child, from its first word to its last."""
    ended: dict[str, object] = {}
    with subprocess.Popen(
        [sys.executable, *_CHILD, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        try:
            assert child.stdout is not None, "it was asked for"
            for line in child.stdout:
                said = json.loads(line) if line.startswith("{") else {}
                if "said" in said:
                    tell(str(said["said"]))
                ended = said or ended
        except BaseException:
            child.kill()
            raise
    if not ended.get("done"):
        raise ModelUnavailable(
            str(ended.get("failed") or "")
            or f"Merging ended without a word (status {child.returncode}): close other programs, try again."
        )


# --- the child ----------------------------------------------------------------------------


def main(base: str, precision: str, id: str, into: Path) -> int:
    """Load, merge and write; the exit status."""
    set_library_defaults()
    try:
        _work(base, precision, id, into)
    except AppError as error:
        return _tell("failed", error.sentence, 1)
    except OSError as error:
        return _tell(
            "failed",
            f"The merged model cannot be written ({error.strerror}): make room, then merge again.",
            1,
        )
    return _tell("done", True, 0)


def _work(base: str, precision: str, id: str, into: Path) -> None:
    from vlm_app.engine.loading import load_checkpoint
    from vlm_app.engine.merging import merge, save

    row = catalog.find(base)
    _tell("said", f"Loading {row.name}" + (f" in {precision}." if precision != "auto" else "."))
    loaded = load_checkpoint(row, precision)
    _tell("said", "Adding the adapter to its weights.")
    merge(loaded, adapters.find(id))
    _tell("said", f"Writing {in_words(loaded.bytes)}.")
    save(loaded, into)


def _tell(what: str, value: object, status: int = 0) -> int:
    print(json.dumps({what: value}), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
