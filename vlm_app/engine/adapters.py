"""LoRA adapters in PEFT's format: which there are, for which base, and switching between them.

An adapter is a folder `adapters/<id>/` of the data folder with `adapter_config.json` and
`adapter_model.safetensors`. It is attached to a loaded base and switched on or off without
loading the base again; several stay attached. While none is switched on the base answers
as if there were none, and when the last one is detached the base's own modules are back.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vlm_app.engine.attaching import CONFIG, Layers, attach, damaged, put_off, put_on, read_json
from vlm_app.engine.libraries import import_peft
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import BadInput, ModelUnavailable, NotFound
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

_log = logging.getLogger(__name__)
WARM = 4  # adapters that stay attached to one base: each holds its own weights
BASE = "__base__"  # in a request: the base itself, beside an adapter
_CARD = "card.json"
_SNAPSHOT = re.compile(r"models--(.+)[/\\]snapshots[/\\]([0-9a-f]{40})[/\\]?$")  # of the Hub's cache


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk. `base` is a Hub repo id, the id of a row or a folder.

    `revision` is the commit of the base that it was made for, '' where nobody wrote it down.
    `owner` is the visitor whom it belongs to; one without an owner is everybody's.
    """

    id: str
    name: str
    base: str
    revision: str
    folder: Path
    owner: str = ""

    def is_for(self, owner: str | None) -> bool:
        """Whether this visitor may use it; None is whoever sits at this computer."""
        return owner is None or self.owner in ("", owner)


# --- on disk ----------------------------------------------------------------------------


def installed(owner: str | None = None) -> tuple[Adapter, ...]:
    """The adapters of the data folder that a visitor may use, by name; None: all of them.

    One that cannot be read is logged and left out.
    """
    found = []
    for folder in _folders():
        try:
            adapter = read(folder)
        except ModelUnavailable as error:
            _warn(error.sentence)
        else:
            found += [adapter] if adapter.is_for(owner) else []
    return tuple(sorted(found, key=lambda adapter: (adapter.name.casefold(), adapter.id)))


@cache
def _warn(sentence: str) -> None:
    """Once: the page looks every second."""
    _log.warning("%s", sentence)


def find(id: str, owner: str | None = None) -> Adapter:
    """The adapter of an id, for a visitor; None: for whoever sits at this computer.

    Raises `NotFound`, also where it is somebody else's, or `ModelUnavailable` where its files are damaged.
    """
    # An id is compared, never joined to a path: it comes from outside.
    folder = next((folder for folder in _folders() if folder.name == id), None)
    adapter = read(folder) if folder else None
    if adapter is None or not adapter.is_for(owner):
        raise NotFound(f"There is no adapter '{id}': choose one that is listed, or none.")
    return adapter


def check(adapter: Adapter, checkpoint: Checkpoint) -> None:
    """Refuse an adapter that was made for another base, or another revision of it: `BadInput`."""
    if not same_base(adapter, checkpoint):
        raise BadInput(
            f"The adapter {adapter.name} was made for {shown(adapter.base)} and cannot be used on "
            f"{checkpoint.name} ({shown(checkpoint.source)}): choose its own base, or another adapter."
        )
    ours, theirs = checkpoint.revision, adapter.revision
    if ours and theirs and not (ours.startswith(theirs) or theirs.startswith(ours)):
        raise BadInput(
            f"The adapter {adapter.name} was made for revision {theirs[:12]} of {shown(adapter.base)}, "
            f"and {checkpoint.name} ({shown(checkpoint.source)}) is at revision {ours[:12]}: choose an "
            "adapter for this revision, or train this one again."
        )


def made_for(adapter: Adapter, checkpoint: Checkpoint) -> bool:
    """Whether `check` would let it pass."""
    try:
        check(adapter, checkpoint)
    except BadInput:
        return False
    return True


def _folders() -> list[Path]:
    root = settings().data / "adapters"
    found = root.iterdir() if root.is_dir() else ()
    # One that is being made or deleted begins with a dot.
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def unreadable(owner: str) -> tuple[Path, ...]:
    """Folders of an owner's adapters that are damaged, so that `installed` leaves them out.

    A card that is cut off still holds the owner's id somewhere, which nobody else knows.
    """
    return tuple(folder for folder in _folders() if _is_damaged(folder) and owner in _card_text(folder))


def _is_damaged(folder: Path) -> bool:
    try:
        read(folder)
    except ModelUnavailable:
        return True
    return False


def _card_text(folder: Path) -> str:
    card = folder / _CARD
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""


def read(folder: Path) -> Adapter:
    """The adapter in a folder. Raises `ModelUnavailable` where its files are damaged."""
    config = read_json(folder, CONFIG)
    card = read_json(folder, _CARD) if (folder / _CARD).is_file() else {}
    base, revision = str(config.get("base_model_name_or_path") or ""), str(config.get("revision") or "")
    if cached := _SNAPSHOT.search(base):
        base, revision = cached[1].replace("--", "/"), cached[2]
    base = str(card.get("base") or base)
    revision = str(card.get("revision") or revision)
    name = str(card.get("name") or folder.name)
    if not base or not base.isprintable():
        raise damaged(name, f"a base_model_name_or_path in {CONFIG}", "none")
    owner = str(card.get("owner") or "")
    return Adapter(folder.name, name, base, revision if _is_commit(revision) else "", folder, owner)


def _is_commit(revision: str) -> bool:
    """Whether a revision is a commit: 'main' is wherever it is today, so it says nothing."""
    return re.fullmatch(r"[0-9a-f]{7,40}", revision) is not None


def same_base(adapter: Adapter, checkpoint: Checkpoint) -> bool:
    """Whether an adapter was made for this base, in whatever revision."""
    base = adapter.base
    if base.casefold() in (checkpoint.source.casefold(), checkpoint.id.casefold()):
        return True
    if not Path(base).is_absolute():
        return False
    source = Path(checkpoint.source)  # of a folder that has moved, the name is what is left
    return Path(base).resolve() == source.resolve() or Path(base).name.casefold() == source.name.casefold()


def shown(base: str) -> str:
    """A base as a person may see it: a repo id, or a folder's name without the way to it."""
    return Path(base).name if Path(base).is_absolute() else base


# --- on a loaded base -------------------------------------------------------------------


def prepare() -> None:
    """Import peft where there is an adapter: that takes seconds, which no switch should wait for."""
    if _folders() and importlib.util.find_spec("peft"):
        import_peft()


def use(loaded: LoadedModel, adapter: Adapter | None) -> None:
    """Switch an adapter on, attaching it where it is not; None: the base itself answers.

    Whoever calls holds the model alone. The adapter that was used longest ago, of those that are
    not `busy`, is detached when there are more than `WARM`. Raises `BadInput` (made for another base) and
    `ModelUnavailable` (damaged, or does not fit): what was switched on before still is.
    """
    if adapter is not None:
        check(adapter, loaded.checkpoint)
        if adapter.id not in loaded.warm:
            _attach(loaded, adapter)
        loaded.warm.remove(adapter.id)
        loaded.warm.append(adapter.id)
    _switch(loaded, adapter.id if adapter else None)


def switched_on(loaded: LoadedModel) -> Layers:
    """The layers of the adapter that is switched on; none where the base itself answers."""
    return _attached(loaded)[loaded.adapter] if loaded.adapter is not None else ()


def detach(loaded: LoadedModel, id: str) -> None:
    """Take a warm adapter off and free its weights; the base is bit for bit its own."""
    if loaded.adapter == id:
        _switch(loaded, None)
    if id in loaded.warm:
        loaded.warm.remove(id)
        del _attached(loaded)[id]


def _detach_deleted(loaded: LoadedModel) -> None:
    """What was deleted while it was warm makes room for the next one."""
    there = {folder.name for folder in _folders()}
    for id in [id for id in loaded.warm if id not in there and id not in loaded.busy]:
        detach(loaded, id)


def _attach(loaded: LoadedModel, adapter: Adapter) -> None:
    before = loaded.adapter
    _switch(loaded, None)
    try:
        layers = attach(loaded, adapter)
    finally:
        _switch(loaded, before)
    _detach_deleted(loaded)
    if len(loaded.warm) >= WARM:
        detach(loaded, next(id for id in loaded.warm if id not in loaded.busy))
    _attached(loaded)[adapter.id] = layers
    loaded.warm.append(adapter.id)


def _attached(loaded: LoadedModel) -> dict[str, Layers]:
    """The layers of the warm adapters. The model itself keeps them, so that they go when it goes."""
    kept: dict[str, Layers] = vars(loaded.model).setdefault("_attached_adapters", {})
    return kept


def _switch(loaded: LoadedModel, id: str | None) -> None:
    if id == loaded.adapter:
        return
    if loaded.adapter is not None:
        put_off(_attached(loaded)[loaded.adapter])
    if id is not None:
        put_on(_attached(loaded)[id])
    loaded.adapter = id
