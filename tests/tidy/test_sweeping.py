"""What is written and no longer needed goes: by age, by size, and after a crash."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.tidy.photos import photo
from vlm_app.media import picture_from
from vlm_app.settings import Settings, settings
from vlm_app.store import Store
from vlm_app.store.orphans import drop_orphans
from vlm_app.store.sweeping import Rule, Sweeper, rules, sweep
from vlm_app.store.uploads import Uploads
from vlm_app.workbench.cache import Cache

HOUR, DAY = 3600.0, 24 * 3600.0


def written(path: Path, age: float, size: int = 10) -> Path:
    """A file, or one in a folder, so many seconds old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    for each in (path, path.parent):
        os.utime(each, (time.time() - age, time.time() - age))
    return path


def left(data: Path) -> set[str]:
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}


@pytest.fixture
def data() -> Path:
    return settings().data


def test_what_is_old_goes_and_what_is_new_or_lasts_stays(data: Path) -> None:
    gone = [
        ("cache/uploads/tmpabc", 11 * 60), ("cache/uploads/f00d/a.png", 25 * HOUR),
        ("cache/adapters/.x/w", 25 * HOUR), ("cache/exports/a.zip", 11 * 60),
        ("cache/pages/aa/.x.partial", 2 * DAY), ("cache/hub/models--a/blobs/x.incomplete", 40 * DAY),
        ("images/aa/.x.partial", 2 * DAY), ("files/.x.partial", 2 * DAY), ("runs/.x/config.json", 2 * DAY),
        ("runs/x/.status.jsonabc", 2 * DAY), ("adapters/.x.part/w", 2 * DAY), ("merged/x/.part/w", 2 * DAY),
        ("models/.lock.jsonabcdefgh", 2 * DAY),
    ]  # fmt: skip
    kept = [
        ("cache/uploads/tmpnew", 5 * 60), ("cache/uploads/beef/a.png", 23 * HOUR), ("app.db", 400 * DAY),
        ("images/aa/a.png", 400 * DAY), ("files/aa/a", 400 * DAY), ("adapters/x/w", 400 * DAY),
        ("runs/x/config.json", 400 * DAY), ("runs/queue.lock", 400 * DAY), ("merged/x/m/w", 400 * DAY),
        ("cache/hub/models--a/blobs/x", 400 * DAY), ("cache/hub/models--a/blobs/y.incomplete", DAY),
        ("models/lock.json", 400 * DAY), ("secret", 400 * DAY), ("cache/pages/aa/x", 40 * DAY),
    ]  # fmt: skip
    for name, age in (*gone, *kept):
        written(data / name, age)
    swept = sweep(rules(settings()))
    assert left(data) == {name for name, _ in kept}
    assert swept.count == len(gone)


def test_a_folder_is_as_old_as_the_newest_in_it(data: Path) -> None:
    written(data / "runs/.x/data/old", 2 * DAY)
    written(data / "runs/.x/data/new", 10)
    sweep(rules(settings()))
    assert left(data) == {"runs/.x/data/old", "runs/.x/data/new"}


def test_too_many_bytes_of_uploads_cost_the_oldest_but_not_what_comes_just_now(data: Path) -> None:
    for number in range(6):
        written(data / f"cache/uploads/{number:064}/a", 1000 + number, 100)
    written(data / "cache/uploads/tmpjustnow", 1, 900)
    chosen = Settings(data=data, upload_bytes=350)
    sweep(rules(chosen))
    names = {Path(name).parts[2] for name in left(data)}
    assert names == {"tmpjustnow"}  # it may be refused by its own limit, not by a sweep
    for number in range(6):
        written(data / f"cache/uploads/{number:064}/a", 1000 + number, 100)
    (data / "cache/uploads/tmpjustnow").unlink()
    sweep(rules(chosen))
    assert {int(Path(name).parts[2]) for name in left(data)} == {0, 1, 2}


def test_a_link_is_removed_and_what_it_leads_to_is_not(data: Path, tmp_path: Path) -> None:
    outside = written(tmp_path / "outside" / "file", 400 * DAY)
    (data / "runs").mkdir(parents=True)
    (data / "runs" / ".link").symlink_to(outside.parent)
    sweep([Rule(data, "runs/.*", 1)], now=time.time() + DAY)
    assert outside.exists() and not (data / "runs" / ".link").is_symlink()


def test_the_page_cache_is_bounded_in_bytes_and_let_go_with_its_sheet(data: Path) -> None:
    cache = Cache(data / "cache" / "pages", 10_000)
    for number in range(30):
        cache.put(f"{number:064}@320", bytes(1000))
    assert sum(path.stat().st_size for path in (data / "cache").rglob("*") if path.is_file()) <= 10_000
    cache.put(f"{'a' * 64}/p1@full", b"mine")
    cache.put(f"{'b' * 64}/p1@full", b"yours")
    cache.drop("a" * 64)
    assert cache.get(f"{'a' * 64}/p1@full") is None and cache.get(f"{'b' * 64}/p1@full") == b"yours"


def test_what_nothing_holds_goes_from_disk_and_database(data: Path, tmp_path: Path) -> None:
    store = Store(data)
    media = store.add_picture("me", picture_from(Image.new("RGB", (8, 8), "red")))
    store.write_images("me", [picture_from(Image.new("RGB", (8, 8), "blue"))])
    source = tmp_path / "a.jpg"
    source.write_bytes(photo("JPEG"))
    store.write_file("me", source)
    drop_orphans(store)
    assert len(list(data.glob("images/*/*.png"))) == 2 and store.picture("me", media)
    drop_orphans(store, seconds=-1)
    assert not list(data.glob("images/*/*.png")) and not [p for p in data.glob("files/*/*") if p.is_file()]
    store.close()


def test_uploads_of_two_people_that_are_the_same_stay_until_both_let_go(data: Path) -> None:
    uploads = Uploads(data)
    path = written(uploads.folder / "c0ffee00" / "a.png", 1)
    for owner in ("me", "you"):
        uploads.came(owner, [path, data / "app.db", uploads.folder / ".." / "hub" / "x"])
    assert uploads.count("me") == uploads.count("you") == 1
    assert uploads.forget("me") == 1 and path.exists()
    assert Uploads(data).forget("you") == 1 and not path.exists()
    assert uploads.count("you") == 0


def test_of_who_uploads_no_longer_no_folder_stays(data: Path) -> None:
    past = written(data / "cache/uploaders/past/c0ffee00", 50 * HOUR)
    new = written(data / "cache/uploaders/new/c0ffee00", HOUR)
    for _ in range(2):  # the first takes the file, and so changes the folder
        sweep(rules(settings()), now=time.time())
        if past.parent.exists():
            os.utime(past.parent, (time.time() - 50 * HOUR,) * 2)
    assert not past.parent.exists() and new.exists()


def test_a_rule_that_fails_keeps_neither_the_others_nor_the_next_sweep(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def glob(path: Path, pattern: str) -> Iterator[Path]:
        done.append(pattern)
        if pattern == "gone/*":
            raise FileNotFoundError(2, "No such file or directory", pattern)
        return iter(())

    monkeypatch.setattr(Path, "glob", glob)
    sweeper = Sweeper([Rule(data, "gone/*", 1), Rule(data, "others/*", 1)], 0.01)
    sweeper.start()
    until = time.monotonic() + 30
    while done.count("others/*") < 2 and time.monotonic() < until:
        time.sleep(0.01)
    sweeper.close()
    assert done[:4] == ["gone/*", "others/*"] * 2


def test_it_is_swept_at_the_start_again_and_again_and_a_fault_ends_nothing(data: Path) -> None:
    done: list[str] = []

    def fails() -> None:
        done.append("first")
        raise OSError("no")

    sweeper = Sweeper(rules(settings()), 0.05, [fails, lambda: done.append("second")])
    written(data / "cache/uploads/tmpone", DAY)
    sweeper.start()
    until = time.monotonic() + 60
    while left(data) and time.monotonic() < until:
        time.sleep(0.02)
    written(data / "cache/uploads/tmptwo", DAY)
    while (left(data) or len(done) < 2) and time.monotonic() < until:
        time.sleep(0.02)
    sweeper.close()
    assert left(data) == set() and done == ["first", "second"]
