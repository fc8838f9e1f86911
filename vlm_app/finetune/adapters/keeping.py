"""From a run that is done to an adapter that the chat can use."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from vlm_app import catalog
from vlm_app.engine.attaching import CONFIG, WEIGHTS
from vlm_app.engine.loading import precision_here
from vlm_app.finetune.adapters.card import Card, Taught, scores
from vlm_app.finetune.adapters.readme import readme
from vlm_app.finetune.judging import judged
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.types import Checkpoint

ROOT = "adapters"  # of the data folder
README = "README.md"


def keep(folder: RunFolder, data: Path) -> str:
    """Copy what a run made to `data/adapters/<id>/`, with a card; returns the adapter's id, the run's own.

    It is there as a whole or not at all; where it is there already, nothing is done.
    Raises `BadInput` where the run's folder is damaged, and `OSError` where the disk refuses.
    """
    id = folder.path.name
    target = data / ROOT / id
    if target.is_dir():
        return id
    put(folder.adapter, _card(folder), target)
    return id


def put(files: Path, card: Card, target: Path) -> None:
    """PEFT's files with a card as the folder of an adapter, whole or not at all. Raises `OSError`."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        shutil.copyfile(files / WEIGHTS, part / WEIGHTS)
        write_config(part, read_config(files), card.base, card.revision)
        write_card(part, card)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def base_of(row: Checkpoint) -> str:
    """What files call a base: its Hub repository, or else its id; never a folder of this computer."""
    return row.id if Path(row.source).is_absolute() else row.source


def write_config(folder: Path, config: dict[str, object], base: str, revision: str) -> None:
    """PEFT's settings, which name the base as `base` and not by the folder it was loaded from."""
    told = config | {"base_model_name_or_path": base, "revision": revision or None}
    (folder / CONFIG).write_text(json.dumps(told, indent=2, sort_keys=True), encoding="utf-8")


def write_card(folder: Path, card: Card) -> None:
    """What is known of an adapter, for this app and as a README for everybody."""
    card.write(folder)
    (folder / README).write_text(readme(card, row_of(card.base)), encoding="utf-8")


def row_of(base: str) -> Checkpoint | None:
    """The row of the catalog that files call so; None where there is none."""
    rows = catalog.catalog()
    return rows.get(base) or next((row for row in rows.values() if row.source == base), None)


def read_config(folder: Path) -> dict[str, object]:
    """PEFT's settings in a folder."""
    found: dict[str, object] = json.loads((folder / CONFIG).read_text("utf-8"))
    return found


def _card(folder: RunFolder) -> Card:
    config, data = folder.config, folder.data
    row = row_of(config.base)
    found = judged(folder)
    return Card(
        name=config.name,
        owner=data.owner,
        base=base_of(row) if row else config.base,  # of one that was taken out meanwhile the id is left
        revision=row.revision if row else "",
        precision=precision_here(config.precision),
        data=Taught(name=data.name, sha256=data.sha256, train=data.train, held_out=data.held_out),
        settings=config,
        scores=tuple(scores(found.verdict)) if found else (),
        verdict=found.sentence if found else "",
        created=datetime.now(UTC),
    )
