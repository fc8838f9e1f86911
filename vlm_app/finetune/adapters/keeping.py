"""From a run that is done to an adapter that the chat can use."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from vlm_app import catalog
from vlm_app.engine.attaching import CONFIG, WEIGHTS
from vlm_app.engine.loading import precision_here
from vlm_app.errors import AppError
from vlm_app.finetune.adapters.card import Card, Taught
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.types import Checkpoint

ROOT = "adapters"  # of the data folder


def keep(folder: RunFolder, data: Path) -> str:
    """Copy what a run made to `data/adapters/<id>/`, with a card; returns the adapter's id, the run's own.

    It is there as a whole or not at all; where it is there already, nothing is done.
    Raises `BadInput` where the run's folder is damaged, and `OSError` where the disk refuses.
    """
    id = folder.path.name
    target = data / ROOT / id
    if target.is_dir():
        return id
    part = target.with_name(f".{id}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        card = _card(folder)
        shutil.copyfile(folder.adapter / WEIGHTS, part / WEIGHTS)
        write_config(part, _config(folder.adapter), card.base, card.revision)
        card.write(part)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return id


def base_of(row: Checkpoint) -> str:
    """What files call a base: its Hub repository, or else its id; never a folder of this computer."""
    return row.id if Path(row.source).is_absolute() else row.source


def write_config(folder: Path, config: dict[str, object], base: str, revision: str) -> None:
    """PEFT's settings, which name the base as `base` and not by the folder it was loaded from."""
    told = config | {"base_model_name_or_path": base, "revision": revision or None}
    (folder / CONFIG).write_text(json.dumps(told, indent=2, sort_keys=True), encoding="utf-8")


def _config(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / CONFIG).read_text("utf-8"))
    return found


def _card(folder: RunFolder) -> Card:
    config, data = folder.config, folder.data
    base, revision = config.base, ""
    try:
        row = catalog.find(config.base)
    except AppError:  # it was taken out of the catalog meanwhile; its id is what is left
        pass
    else:
        base, revision = base_of(row), row.revision
    return Card(
        name=config.name,
        owner=data.owner,
        base=base,
        revision=revision,
        precision=precision_here(config.precision),
        data=Taught(name=data.name, sha256=data.sha256, train=data.train, held_out=data.held_out),
        settings=config,
        created=datetime.now(UTC),
    )
