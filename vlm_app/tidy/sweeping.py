"""Everything that is swept while the app runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import select

from vlm_app.engine.offloading import sweep_offloaded
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.store.orphans import drop_orphans
from vlm_app.store.sweeping import Sweeper, rules
from vlm_app.store.tables import RunRow
from vlm_app.tidy.own_data import OwnData

_BEING_MADE = 3600.0  # seconds after which nobody is about to write the row of a run


def sweeper(store: Store, own: OwnData) -> Sweeper:
    """For this process, by its settings; not started yet."""
    chosen = settings()
    daily: list[Callable[[], object]] = [
        sweep_offloaded,
        partial(drop_runs_without_row, store),
        partial(drop_orphans, store),
    ]
    if chosen.keep_days:
        daily.append(partial(own.forget_idle, chosen.keep_days))
    return Sweeper(rules(chosen), 60 * chosen.sweep_minutes, daily)


def drop_runs_without_row(store: Store, seconds: float = _BEING_MADE) -> None:
    """Removes folders of runs that a crash kept from joining the line: nobody can see them.

    One that ever joined it is left alone, whatever the database says: it may hold what was learned.
    """
    root = store.data / "runs"
    with store.reading() as session:
        known = set(session.scalars(select(RunRow.id)))
    for path in root.iterdir() if root.is_dir() else ():
        if path.name in known or path.name.startswith(".") or not path.is_dir():
            continue
        if not RunFolder(path).begun and path.stat().st_mtime < time.time() - seconds:
            shutil.rmtree(path, ignore_errors=True)
