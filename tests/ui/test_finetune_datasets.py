"""The place of datasets without a browser: what comes in, what is shown, and to whom."""

from __future__ import annotations

import errno
import io
import json
from contextlib import closing

import pytest

from tests.ui.dataset_desk import EVIL, MIXED, Tab, picture, row, tab, zipped
from vlm_app.errors import AppError, BadInput
from vlm_app.finetune import arrival as arriving
from vlm_app.finetune.arrival import ENDED, Stage
from vlm_app.finetune.uploads.workroom import workrooms
from vlm_app.pebble import shapes
from vlm_app.settings import settings
from vlm_app.ui.finetune.datasets.incoming import incoming
from vlm_app.ui.welcome import EXAMPLES as WELCOME

__all__ = ["tab"]


# --- the first minute -------------------------------------------------------------------


def test_first_user_gets_forty_hearts_that_pebble_has_never_seen(tab: Tab) -> None:
    tab.press("hearts")
    assert tab.arrived().stage is Stage.DONE
    tab.look_at_all()
    shown = tab.press("look")
    assert "40 examples" in shown["list"]
    assert shown["gallery"].count("lesson-card") == 24
    assert "1–24 of 40" in shown["gallery"]
    assert "8 of 40 examples are held out" in shown["dataset"]
    assert "heart" not in shapes.SHAPES
    assert (settings().assets / "examples" / "hearts.zip").stat().st_size < 1_000_000
    assert "hearts" not in WELCOME  # the first screen asks Pebble what it knows


def test_nothing_is_there_at_first(tab: Tab) -> None:
    shown = tab.press("look")
    assert shown["list"] == shown["dataset"] == shown["gallery"] == ""
    assert json.loads(shown["told"])["datasets"] == 0


# --- what comes in ----------------------------------------------------------------------


def test_bad_rows_are_named_and_nothing_is_kept_until_somebody_says_so(tab: Tab) -> None:
    asking = tab.upload("mine.zip", ("mine.zip", zipped(*MIXED, a="red", b="blue")))
    assert asking.stage is Stage.ASKING
    assert tab.workshop.examples.datasets("me") == ()
    html = tab.press("progress")["arrival"]
    for said in ("train.jsonl", "<td>2</td>", "missing.png", "<td>4</td>", "empty", "Add the 2 good ones"):
        assert said in html
    tab.press("add", arrival=asking.id)
    done = tab.arrived(*ENDED)
    assert (done.report.added, done.report.left_out) == (2, 2)
    assert "2 rows left out" in tab.press("look", dataset=done.dataset)["arrival"]
    assert [each.name for each in tab.workshop.examples.datasets("me")] == ["mine"]
    tab.press("dismiss", arrival=asking.id)
    assert tab.press("look")["arrival"] == ""


def test_all_can_be_refused(tab: Tab) -> None:
    asking = tab.upload("mine.zip", ("mine.zip", zipped(*MIXED, a="red", b="blue")))
    assert tab.press("stop", arrival=asking.id)["arrival"] == ""
    assert tab.workshop.examples.datasets("me") == ()
    assert not [each for each in workrooms().iterdir() if each.is_dir()]


def test_good_dataset_is_added_without_a_question_and_the_same_again_adds_nothing(tab: Tab) -> None:
    good = zipped(row("a.png"), a="red")
    first = tab.upload("good.zip", ("good.zip", good))
    assert (first.stage, first.report.added) == (Stage.DONE, 1)
    again = tab.upload("good.zip", ("good.zip", good), into=first.dataset)
    assert (again.report.added, again.report.again) == (0, 1)
    assert "Nothing new was added" in incoming(again, "good")
    beside = tab.upload("good.zip", ("good.zip", good))
    names = {each.name for each in tab.workshop.examples.datasets("me")}
    assert names == {"good", "good 2"}
    assert beside.dataset != first.dataset


def test_table_and_its_pictures_can_come_side_by_side(tab: Tab) -> None:
    table = b"image,task,query,answer\na.png,chat,What is it?,A square.\n"
    done = tab.upload("2 files", ("table.csv", table), ("a.png", picture()))
    assert (done.stage, done.report.added) == (Stage.DONE, 1)


def test_names_lead_nowhere(tab: Tab) -> None:
    begun = tab.workshop.arrivals.begin("me", EVIL, total=10)
    for name in ("../../../evil.jsonl", "..\\..\\evil.jsonl", "/etc/passwd", "..", "", "a\0b", "evil.jsonl"):
        receiving = tab.workshop.arrivals.file("me", begun.id, name)
        receiving.write(b"{}")
        receiving.close()
    inside = {each.name for each in workrooms().glob("*/files/upload/*")}
    assert len(inside) == 7
    for name in ("passwd", "*evil*"):
        assert {each.parent.name for each in settings().data.parent.rglob(name)} == {"upload"}
    assert EVIL not in incoming(tab.workshop.arrivals.of("me"), "")
    assert "&lt;img" in incoming(tab.workshop.arrivals.of("me"), "")


def test_dataset_of_nothing_is_refused_and_leaves_nothing(tab: Tab) -> None:
    for data in (b"", b"not a dataset", zipped(row("missing.png"))):
        failed = tab.upload("mine.zip", ("mine.zip", data))
        assert failed.stage is Stage.FAILED
        assert failed.sentence
        assert tab.workshop.examples.datasets("me") == ()
    assert "missing.png" in tab.press("look")["arrival"]


def test_one_upload_at_a_time(tab: Tab) -> None:
    begun = tab.workshop.arrivals.begin("me", "one.zip")
    with pytest.raises(BadInput, match="still on its way"):
        tab.workshop.arrivals.begin("me", "two.zip")
    tab.workshop.arrivals.begin("you", "three.zip")
    tab.press("stop", arrival=begun.id)
    tab.workshop.arrivals.begin("me", "two.zip")


def test_upload_that_finds_no_room_is_refused_before_it_is_sent(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "free_bytes", lambda: 600_000_000)
    with pytest.raises(BadInput, match="more than is free"):
        tab.workshop.arrivals.begin("me", "big.zip", total=200_000_000)
    begun = tab.workshop.arrivals.begin("me", "big.zip", total=10)  # who says less sends no more
    receiving = tab.workshop.arrivals.file("me", begun.id, "big.zip")
    monkeypatch.setattr(arriving, "free_bytes", lambda: 0)
    with closing(receiving), pytest.raises(BadInput, match="more than is free"):
        receiving.write(b"0" * 11)
    assert tab.arrived().stage is Stage.FAILED


def test_full_disk_is_said(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tab.workshop.arrivals.begin("me", "big.zip", total=10)
    receiving = tab.workshop.arrivals.file("me", begun.id, "big.zip")

    class Full(io.BytesIO):
        def write(self, piece: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    receiving.close()
    monkeypatch.setattr(receiving, "_file", Full())
    with pytest.raises(AppError, match="No space left"):
        receiving.write(b"123")
    assert "No space left" in tab.press("look")["arrival"]
