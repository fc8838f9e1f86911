"""An adapter as a zip, which PEFT, the Hub and this app read, and taking in one that somebody brings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from vlm_app import catalog
from vlm_app.engine import adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.attaching import CONFIG, WEIGHTS, check_settings, read_json
from vlm_app.errors import BadInput
from vlm_app.finetune.adapters.card import CARD, MOST_BYTES, Card
from vlm_app.finetune.adapters.keeping import README, ROOT, base_of, put, row_of, write_config
from vlm_app.finetune.adapters.readme import readme
from vlm_app.finetune.uploads.archive import is_zip, unpack
from vlm_app.finetune.uploads.workroom import workroom
from vlm_app.media.names import subject
from vlm_app.store import new_id
from vlm_app.store.disk import size_of
from vlm_app.types import Checkpoint

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_CONFIG_BYTES = 1_000_000


def published(adapter: Adapter, card: Card, into: Path) -> None:
    """The files of an adapter as others may have them: without whose it is, and without our folders.

    Raises `OSError`, and `ModelUnavailable` where the adapter is damaged.
    """
    row = row_of(card.base)
    into.mkdir(parents=True)
    shutil.copyfile(adapter.folder / WEIGHTS, into / WEIGHTS)
    write_config(into, read_json(adapter.folder, CONFIG), card.base, card.revision)
    card.model_copy(update={"owner": ""}).write(into)
    (into / README).write_text(readme(card, row), encoding="utf-8")


def pack(folder: Path, into: Path) -> Path:
    """A zip of the files in a folder, whole or not at all. Weights would not shrink: they are stored."""
    part = into.with_name(f".{into.name}.{new_id()}.part")  # of this call: two may pack the same
    into.parent.mkdir(parents=True, exist_ok=True)
    try:
        with ZipFile(part, "w", ZIP_STORED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        part.replace(into)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return into


# --- one that somebody brings -------------------------------------------------------------


def take_in(path: Path, name: str, id: str, owner: str, data: Path, check: Callable[[int], None]) -> None:
    """Make an adapter `id` of the zip at `path`, which somebody calls `name`. `check` raises where there is
    no room for so many bytes.

    Raises `BadInput` or `ModelUnavailable` with what it is not: a whole zip of plain files, LoRA
    weights in safetensors, for a base of the catalog; and `OSError` where the disk refuses.
    """
    with path.open("rb") as file:
        if not is_zip(file.read(4)):
            raise BadInput(
                f"{subject(name)} is no zip: expected one with {CONFIG} and {WEIGHTS}, as PEFT saves them."
            )
    with workroom() as room:
        room.mkdir(exist_ok=True)
        for problem in unpack(path, name, room, lambda: False):
            raise BadInput(f"{subject(name)} is not taken: {problem.reason}.")
        found = _Found.of(room, name)
        check(size_of(found.folder / WEIGHTS))
        put(found.folder, _card(found, owner, name), data / ROOT / id)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a zip held: PEFT's files in a folder, and the row of the base that they are for."""

    folder: Path
    adapter: Adapter
    base: Checkpoint

    @classmethod
    def of(cls, room: Path, name: str) -> _Found:
        folder = _folder(room, name)
        if (folder / CONFIG).stat().st_size > _CONFIG_BYTES:
            raise BadInput(f"{subject(name)} is not taken: its {CONFIG} is longer than a megabyte.")
        check_settings(read_json(folder, CONFIG), subject(name))
        _check_weights(folder / WEIGHTS, name)
        with suppress(OSError):
            (folder / CARD).rename(folder / "theirs.json")  # whose it says it is does not count
        adapter = adapters.read(folder)
        return cls(folder, adapter, _base(adapter, name))


def _folder(room: Path, name: str) -> Path:
    """Where in the zip the adapter is."""
    files = [path for path in sorted(room.rglob("*")) if path.is_file()]
    configs = [path for path in files if path.name == CONFIG]
    if len(configs) != 1:
        found = f"{len(configs)} of them" if configs else "none"
        raise BadInput(f"{subject(name)} is not taken: expected one {CONFIG} in it, found {found}.")
    folder = configs[0].parent
    if not (folder / WEIGHTS).is_file():
        pickled = next((path.name for path in files if path.suffix.lower() in _PICKLED), "")
        if pickled:
            raise BadInput(
                f"{subject(name)} is not taken: its weights are pickled ({subject(pickled)}), which can run "
                f"code when they are read; save them again with PEFT as {WEIGHTS}."
            )
        raise BadInput(f"{subject(name)} is not taken: expected {WEIGHTS} beside {CONFIG}, found none.")
    return folder


def _check_weights(path: Path, name: str) -> None:
    """Whether it is whole: its header and where its numbers lie are read, not the numbers."""
    try:
        with safe_open(path, framework="np") as file:
            empty = not file.keys()
    except (SafetensorError, OSError):
        raise BadInput(
            f"{subject(name)} is not taken: its {WEIGHTS} is damaged or cut off; save or copy it again."
        ) from None
    if empty:
        raise BadInput(f"{subject(name)} is not taken: its {WEIGHTS} holds no weights.")


def _base(adapter: Adapter, name: str) -> Checkpoint:
    """The row that it was made for."""
    rows = [row for row in catalog.catalog().values() if not row.server]
    for row in rows:
        if adapters.made_for(adapter, row):
            return row
    other = next((row for row in rows if adapters.same_base(adapter, row)), None)
    if other is not None:
        adapters.check(adapter, other)  # says which revision it is for
    base = adapters.shown(adapter.base)[:100]
    raise BadInput(
        f"{subject(name)} is not taken: it was made for '{base}', which is not among the models here; add "
        "that one first."
    )


def _card(found: _Found, owner: str, name: str) -> Card:
    """The card it came with, as far as it can be read, for its new owner and our name of its base."""
    facts: dict[str, Any] = {
        "owner": owner,
        "base": base_of(found.base),
        "revision": found.adapter.revision,
    }
    theirs = found.folder / "theirs.json"
    with suppress(OSError, ValueError, ValidationError):
        if theirs.stat().st_size <= MOST_BYTES:
            return Card.model_validate_json(theirs.read_text("utf-8")).model_copy(update=facts)
    return Card(name=Path(name).stem[:80] or "Adapter", **facts)
