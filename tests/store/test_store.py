"""What the store keeps, for whom, and what it does when the folder will not have it."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from PIL import Image, PngImagePlugin
from sqlalchemy import create_engine

from vlm_app.errors import NotFound
from vlm_app.media import picture_from
from vlm_app.store import Store, StoreUnavailable
from vlm_app.store.tables import Base
from vlm_app.types import Picture


def picture(colour: str = "red", size: tuple[int, int] = (8, 6), note: str = "") -> Picture:
    made = picture_from(Image.new("RGB", size, colour))
    return Picture(made.pixels, made.sha256, note)


def files(store: Store) -> list[Path]:
    return sorted(path for path in (store.data / "images").rglob("*") if path.is_file())


# --- images -----------------------------------------------------------------------------


def test_an_image_comes_back_with_its_pixels_and_note(store: Store) -> None:
    kept = store.add_picture("ada", picture(note="first of 12 frames"))
    found = store.picture("ada", kept)
    assert found == picture()
    assert found.note == "first of 12 frames"
    assert found.size == (8, 6)
    assert found.pixels.tobytes() == picture().pixels.tobytes()


def test_the_same_image_is_kept_once_and_has_one_id_for_each_owner(store: Store) -> None:
    first, again = store.add_picture("ada", picture()), store.add_picture("ada", picture())
    other = store.add_picture("bob", picture())
    assert first == again != other
    assert len(files(store)) == 1


def test_another_owners_image_does_not_exist(store: Store) -> None:
    kept = store.add_picture("ada", picture())
    for read in (store.picture, store.picture_path):
        with pytest.raises(NotFound, match="does not exist or is not yours"):
            read("bob", kept)
        with pytest.raises(NotFound):
            read("ada", "no-such-id")
    store.drop_unused("bob", [kept])
    assert store.picture("ada", kept) == picture()


def test_a_stored_image_has_no_metadata(store: Store) -> None:
    tagged = picture().pixels
    tagged.info |= {"icc_profile": b"profile", "dpi": (72, 72), "exif": b"Exif\0\0GPS", "comment": "home"}
    path = store.picture_path("ada", store.add_picture("ada", Picture(tagged, picture().sha256)))
    with Image.open(path) as file:
        assert isinstance(file, PngImagePlugin.PngImageFile)
        assert not file.info


def test_many_images_can_wait_to_be_looked_at(store: Store) -> None:
    ids = [store.add_picture("ada", picture(size=(width, 3))) for width in range(1, 41)]
    open_files = len(os.listdir("/proc/self/fd"))
    pictures = [store.picture("ada", each) for each in ids]
    assert len(os.listdir("/proc/self/fd")) == open_files
    assert [picture.size for picture in pictures] == [(width, 3) for width in range(1, 41)]
    assert {picture.pixels.getpixel((0, 2)) for picture in pictures} == {(255, 0, 0)}


def test_a_name_that_is_no_hash_never_becomes_a_path(store: Store) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        store.add_picture("ada", Picture(picture().pixels, "../../etc/passwd"))


def test_a_crash_while_an_image_is_written_leaves_no_half_image(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        store.add_picture("ada", picture())
    assert files(store) == []
    monkeypatch.undo()
    assert store.picture("ada", store.add_picture("ada", picture())) == picture()


def test_a_crash_between_the_image_and_its_row_breaks_nothing(store: Store) -> None:
    store.write_images("ada", [picture()])  # and then the process was killed
    assert store.picture("ada", store.add_picture("ada", picture())) == picture()
    assert len(files(store)) == 1


def test_an_image_that_vanished_from_the_disk_is_named_in_a_sentence(store: Store) -> None:
    kept = store.add_picture("ada", picture())
    store.picture_path("ada", kept).unlink()
    with pytest.raises(NotFound, match="missing from the data folder"):
        store.picture("ada", kept)


def test_an_unused_image_goes_once_nobody_has_it(store: Store) -> None:
    hers, his = store.add_picture("ada", picture()), store.add_picture("bob", picture())
    store.drop_unused("ada", [hers])
    assert store.picture("bob", his) == picture()
    store.drop_unused("bob", [his])
    assert files(store) == []


def test_an_image_can_be_added_while_others_let_go_of_it(store: Store) -> None:
    def add_and_drop(owner: str) -> None:
        for _ in range(15):
            kept = store.add_picture(owner, picture())
            store.picture(owner, kept).pixels.load()
            store.drop_unused(owner, [kept])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_and_drop, ["ada", "bob", "cy", "dee"]))
    assert files(store) == []


# --- several threads and processes --------------------------------------------------------


def test_many_threads_can_write_at_once(store: Store) -> None:
    def add(number: int) -> str:
        return store.add_picture("ada", picture(size=(1 + number % 10, 3)))

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(add, range(80)))
    assert len(set(ids)) == 10
    assert len(files(store)) == 10


_OTHER_PROCESS = """
import sys
from pathlib import Path
from PIL import Image
from vlm_app.media import picture_from
from vlm_app.store import Store
store = Store(Path(sys.argv[1]))
for number in range(20):
    store.add_picture(sys.argv[2], picture_from(Image.new("RGB", (2 + number, 2))))
store.close()
"""


def test_two_processes_start_and_write_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", _OTHER_PROCESS, str(tmp_path / "new")]
    processes = [
        subprocess.Popen([*command, owner], stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for owner in ("ada", "bob")
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    store = Store(tmp_path / "new")
    assert len(files(store)) == 20
    store.close()


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    kept = store.add_picture("ada", picture())
    writing, done = threading.Event(), threading.Event()

    def write() -> None:
        with store.writing() as session:
            store.keep_pictures(session, "ada", [picture("blue")])
            writing.set()
            done.wait(20)

    thread = threading.Thread(target=write)
    thread.start()
    assert writing.wait(20)
    assert store.picture("ada", kept) == picture()
    done.set()
    thread.join()


# --- the database -------------------------------------------------------------------------


def test_a_new_folder_gets_the_schema_of_the_tables(store: Store) -> None:
    engine = create_engine(f"sqlite:///{store.data / 'app.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


def test_a_second_start_keeps_everything_and_says_nothing(
    store: Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    kept = store.add_picture("ada", picture())
    with caplog.at_level(logging.INFO):
        again = Store(store.data)
    assert again.picture("ada", kept) == picture()
    again.close()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_folder_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with sqlite3.connect(store.data / "app.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreUnavailable, match=r"newer version of this app.*9999.*update the app"):
        Store(store.data)


def test_a_migration_that_fails_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic.operations import Operations

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(Operations, "create_index", fail)
    with pytest.raises(RuntimeError):
        Store(tmp_path / "data")
    monkeypatch.undo()
    connection = sqlite3.connect(tmp_path / "data" / "app.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    Store(tmp_path / "data").close()


@pytest.mark.parametrize("content", [b"this is no database, but long enough to look at" * 100])
def test_a_damaged_database_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "app.db").write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"cannot be used \(file is not a database\)"):
        Store(tmp_path)


def test_a_data_folder_that_is_a_file_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreUnavailable, match="VLM_APP_DATA"):
        Store(tmp_path / "data")


def test_a_full_disk_gets_a_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match=r"No space left on device.*free space"):
        store.add_picture("ada", picture())
    assert files(store) == []


@pytest.mark.parametrize("name", ["a?b", "a%20b", "a#b"])
def test_the_database_lies_in_its_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    Store(tmp_path / name).close()
    assert (tmp_path / name / "app.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
