"""What lasts and belongs to nobody any more, because a crash came between two steps."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import InstrumentedAttribute

from vlm_app.store.images import ImageFolder
from vlm_app.store.store import Store
from vlm_app.store.tables import FILE_HOLDERS, IMAGE_HOLDERS, FileRow, MediaRow

SECONDS = 24 * 3600.0  # after which nobody is about to write the row of a file, or what holds it
_AT_ONCE = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}")


def drop_orphans(store: Store, seconds: float = SECONDS) -> None:
    """Removes images and files that nothing holds, and those on the disk that no row names."""
    for owner, id in _unheld(store, MediaRow, IMAGE_HOLDERS, seconds):
        store.drop_unused(owner, [id])
    for owner, id in _unheld(store, FileRow, FILE_HOLDERS, seconds):
        store.drop_unused_files(owner, [id])
    for hashes in _old(store.data / "files", seconds):
        store.drop_rowless_files(hashes)
    images = ImageFolder(store.data / "images")
    for hashes in _old(store.data / "images", seconds):
        with store.writing() as session:
            kept = set(session.scalars(select(MediaRow.sha256).where(MediaRow.sha256.in_(hashes))))
            for sha256 in hashes - kept:
                images.remove(sha256)


def _unheld(
    store: Store,
    row: type[MediaRow] | type[FileRow],
    holders: tuple[InstrumentedAttribute[str], ...],
    seconds: float,
) -> list[tuple[str, str]]:
    """Owner and id of each row that nothing holds."""
    before = datetime.now(UTC) - timedelta(seconds=seconds)
    loose = and_(row.created < before, *(~exists().where(each == row.id) for each in holders))
    with store.reading() as session:
        return [(owner, id) for owner, id in session.execute(select(row.owner, row.id).where(loose))]


def _old(folder: Path, seconds: float) -> Iterator[set[str]]:
    """Hashes of the files that have lain there for so long, some at a time."""
    until = time.time() - seconds
    found = (path for path in folder.glob("??/*") if _SHA256.fullmatch(path.stem))
    old = (path.stem for path in found if _written(path) < until)
    while hashes := set(islice(old, _AT_ONCE)):
        yield hashes


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it has just been removed
        return time.time()
