"""What each role may take at most, and how much of it is left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.chat.fake_engine import FakeEngine
from vlm_app import limits
from vlm_app.chat import Chats
from vlm_app.errors import TooMany, TooMuch
from vlm_app.limits import Rates, known
from vlm_app.media import picture_from
from vlm_app.people import Person, Role
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.store.disk import FRESH, Disk

Set = Callable[..., None]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_laptop_has_only_the_limits_of_files() -> None:
    allowed, whole = limits.of("ada"), settings()
    assert (allowed.bytes, allowed.pixels, allowed.images) == (whole.max_bytes, whole.max_pixels, 8)
    assert (allowed.pages, allowed.video_bytes) == (200, whole.max_video_bytes)
    others = (allowed.requests, allowed.answers, allowed.runs, allowed.disk, allowed.video_seconds)
    assert set(others) == {None}


def test_a_visitor_has_less_than_a_member_and_both_have_limits(visits: Callable[[str, Role], None]) -> None:
    visits("vera", Role.VISITOR)
    visits("mia", Role.MEMBER)
    visitor, member = limits.of("vera"), limits.of("mia")
    for name in ("document_bytes", "video_bytes", "pixels", "images", "pages", "video_seconds", "requests",
                 "answers", "runs", "disk"):  # fmt: skip
        assert getattr(visitor, name) < getattr(member, name), name


def test_settings_change_a_role_and_never_go_beyond_everybodys(
    narrow: Set, visits: Callable[[str, Role], None]
) -> None:
    narrow(visitor_pages=3, visitor_images=50, visitor_disk="2GB")
    visits("vera", Role.VISITOR)
    assert (limits.of("vera").pages, limits.of("vera").images) == (3, 8)
    assert limits.of("vera").disk == 2_000_000_000


def test_a_role_is_that_of_the_last_request(visits: Callable[[str, Role], None]) -> None:
    visits("vera", Role.VISITOR)
    visits("vera", Role.MEMBER)
    assert limits.role_of("vera") is Role.MEMBER


def test_strangers_by_the_thousand_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 100)
    for number in range(300):
        limits.know(Person(f"stranger {number}", "", Role.VISITOR))
    assert len(known._roles) == 100


def test_requests_come_back_steadily() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert [rates.wait("ada", 60) for _ in range(60)] == [0.0] * 60
    assert rates.wait("ada", 60) == pytest.approx(1.0)
    assert rates.wait("bob", 60) == 0.0
    clock.now += 2.0
    assert [bool(rates.wait("ada", 60)) for _ in range(3)] == [False, False, True]


def test_a_flood_of_names_does_not_empty_anybodys_bucket_and_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vlm_app.limits.rates.MOST", 100)
    clock = Clock()
    rates = Rates(clock)
    for number in range(1000):
        clock.now += 0.01
        rates.wait(f"stranger {number}", 60)
    assert len(rates._buckets) <= 101


def test_only_so_many_answers_are_written_at_once(narrow: Set, visits: Callable[[str, Role], None]) -> None:
    narrow(visitor_answers=2)
    visits("vera", Role.VISITOR)
    with limits.answering("vera"), limits.answering("vera"):
        with (
            pytest.raises(TooMany, match="At most 2 answers are written at once for a visitor"),
            limits.answering("vera"),
        ):
            raise AssertionError
        with limits.answering("walt"):
            pass
    with limits.answering("vera"):
        pass


def test_answers_that_end_in_any_thread_give_their_place_back(
    narrow: Set, visits: Callable[[str, Role], None]
) -> None:
    narrow(visitor_answers=3)
    visits("vera", Role.VISITOR)

    def fails() -> None:
        for _ in range(50):
            try:
                with limits.answering("vera"):
                    raise RuntimeError
            except (RuntimeError, TooMany):
                pass

    threads = [threading.Thread(target=fails) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with limits.answering("vera"), limits.answering("vera"), limits.answering("vera"):
        pass


# --- the disk ---------------------------------------------------------------------------


def test_what_is_kept_counts_until_it_is_deleted(
    store: Store, narrow: Set, visits: Callable[[str, Role], None]
) -> None:
    narrow(visitor_disk=100_000)
    visits("vera", Role.VISITOR)
    noise = [picture_from(Image.effect_noise((200, 200), 90 + number)) for number in range(4)]
    kept = []
    with pytest.raises(TooMuch, match=r"At most 0\.1 MB are kept for a visitor, you have .* delete"):
        for each in noise:
            kept.append(store.add_picture("vera", each))
    assert 0 < len(kept) < 4
    store.drop_unused("vera", kept)
    store.add_picture("vera", noise[0])
    store.add_picture("ada", noise[3])  # nobody else has less room for it


def test_words_count_too(store: Store, narrow: Set, visits: Callable[[str, Role], None]) -> None:
    narrow(visitor_disk=100_000)
    visits("vera", Role.VISITOR)
    chats = Chats(store, FakeEngine())
    for _ in range(2):
        list(chats.send("vera", chats.new("vera"), ("word " * 8_000,)))
    assert 80_000 <= store.disk.used("vera") < 90_000
    list(chats.send("vera", chats.new("vera"), ("word " * 8_000,)))
    store.disk.used("vera")
    with pytest.raises(TooMuch, match="kept for a visitor"):
        chats.send("vera", chats.new("vera"), ("once more",))
    with pytest.raises(TooMuch, match="1,000,001 characters, at most 1,000,000"):
        chats.send("ada", chats.new("ada"), ("x" * 1_000_001,))


def test_a_file_that_has_no_room_is_not_copied(
    store: Store, tmp_path: Path, narrow: Set, visits: Callable[[str, Role], None]
) -> None:
    narrow(visitor_disk=1_000_000)
    visits("vera", Role.VISITOR)
    source = tmp_path / "long.mp4"
    source.write_bytes(bytes(1_500_000))
    with pytest.raises(TooMuch, match=r"this takes 1\.5 MB more"):
        store.write_file("vera", source)
    assert not list((store.data / "files").rglob("*"))
    store.write_file("ada", source)


def test_the_disk_is_not_counted_for_every_request(narrow: Set, visits: Callable[[str, Role], None]) -> None:
    narrow(visitor_disk=1_000)
    visits("vera", Role.VISITOR)
    counted, clock = [], Clock()
    disk = Disk(clock)
    disk.also("things", lambda owner: counted.append(owner) or 100)
    for _ in range(20):
        disk.check("vera", 10)
    assert counted == ["vera"]
    disk.add("vera", 850)
    disk.check("vera", 100)  # what was believed to be too much is counted before it is refused
    assert len(counted) == 2
    clock.now += FRESH + 1
    disk.check("vera")
    assert len(counted) == 3
    disk.check("ada", 10**12)
    assert len(counted) == 3
