"""Files are kept as they are, once, whole or not at all, and let go of when nothing holds them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vlm_app.errors import NotFound
from vlm_app.settings import Settings
from vlm_app.store import Store, StoreUnavailable, new_id
from vlm_app.store.sweeping import rules, sweep
from vlm_app.store.tables import SheetFileRow, SheetRow


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF-1.7 " + os.urandom(3_000_000))
    return path


def kept(store: Store, owner: str, source: Path) -> str:
    written = store.write_file(owner, source)
    with store.writing() as session:
        return store.keep_file(session, owner, source, written, source.name, "application/pdf")


def on_disk(store: Store) -> list[Path]:
    return sorted(path for path in (store.data / "files").rglob("*") if path.is_file())


def test_a_file_comes_back_byte_by_byte(store: Store, source: Path) -> None:
    file = store.file("ada", kept(store, "ada", source))
    assert file.path.read_bytes() == source.read_bytes()
    assert file.media_type == "application/pdf"


def test_the_same_file_lies_there_once_for_all_owners(store: Store, source: Path) -> None:
    first, again, other = (kept(store, owner, source) for owner in ("ada", "ada", "bob"))
    assert first == again != other
    assert len(on_disk(store)) == 1


def test_another_owners_file_does_not_exist(store: Store, source: Path) -> None:
    id = kept(store, "ada", source)
    with pytest.raises(NotFound, match="does not exist or is not yours"):
        store.file("bob", id)
    store.drop_unused_files("bob", [id])
    assert store.file("ada", id).path.exists()


def test_a_copy_that_breaks_off_leaves_nothing(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match=r"No space left on device.*free space"):
        store.write_file("ada", source)
    assert on_disk(store) == []


def test_a_file_goes_when_nothing_holds_it_and_stays_while_something_does(store: Store, source: Path) -> None:
    held, unheld = kept(store, "ada", source), kept(store, "bob", source)
    now, sheet_id = datetime.now(UTC), new_id()
    with store.writing() as session:
        sheet = SheetRow(
            id=sheet_id, owner="ada", name="", kind="document", body={}, created=now, updated=now
        )
        session.add(sheet)
        session.flush()
        session.add(SheetFileRow(sheet_id=sheet_id, file_id=held, owner="ada"))
    store.drop_unused_files("ada", [held])
    store.drop_unused_files("bob", [unheld])
    assert store.file("ada", held).path.exists()
    with store.writing() as session:
        session.delete(session.get(SheetRow, sheet_id))
    store.drop_unused_files("ada", [held])
    assert on_disk(store) == []


def test_a_file_can_be_added_while_others_let_go_of_it(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "small"
    source.write_bytes(b"the same bytes")

    def add_and_drop(owner: str) -> None:
        for _ in range(15):
            id = kept(store, owner, source)
            assert store.file(owner, id).path.read_bytes() == b"the same bytes"
            store.drop_unused_files(owner, [id])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_and_drop, ["ada", "bob", "cy", "dee"]))
    assert on_disk(store) == []


def test_a_file_that_vanished_from_the_disk_is_named_in_a_sentence(store: Store, source: Path) -> None:
    id = kept(store, "ada", source)
    store.file("ada", id).path.unlink()
    with pytest.raises(NotFound, match="missing from the data folder"):
        store.file("ada", id)


def test_what_a_lost_power_left_half_copied_is_swept_away_later(store: Store, source: Path) -> None:
    kept(store, "ada", source)
    old, new = (store.data / "files" / f".{name}.partial" for name in ("old", "new"))
    for partial in (old, new):
        partial.write_bytes(b"half")
    os.utime(old, (0, 0))
    sweep(rules(Settings(data=store.data)))
    assert not old.exists()
    assert new.exists()  # somebody may be writing it
