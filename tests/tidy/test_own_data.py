"""'Delete my data' deletes all of it, and nothing of anybody else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from tests.tidy.desk import WORD, Desk
from vlm_app.api.owner import Owners
from vlm_app.errors import BadInput
from vlm_app.store.database import StoreUnavailable
from vlm_app.store.tables import Base, ConversationRow, DatasetRow, RunRow, SheetRow
from vlm_app.tidy import Holdings
from vlm_app.tidy.own_data import Forgotten
from vlm_app.tidy.sweeping import drop_runs_without_row

MINE, YOURS = "m" * 24, "y" * 24


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path / "data", monkeypatch)
    made.fill(MINE, WORD, tmp_path)
    made.fill(YOURS, "Violinist", tmp_path)
    yield made
    made.close()


def rows_of(desk: Desk, owner: str) -> dict[str, int]:
    """Rows of every table that has owners."""
    counts = {}
    with desk.store.reading() as session:
        for table in Base.metadata.sorted_tables:
            if "owner" in table.c:
                counts[table.name] = len(
                    session.execute(select(table).where(table.c.owner == owner)).fetchall()
                )
    return counts


def pictures(desk: Desk) -> set[Path]:
    return {path for path in (desk.data / "images").rglob("*.png") if path.is_file()}


def test_all_of_it_goes_and_nothing_of_others(desk: Desk) -> None:
    everything = Holdings(chats=1, sheets=1, datasets=1, examples=2, runs=1, adapters=1, uploads=2)
    assert desk.own.held(MINE) == desk.own.held(YOURS) == everything
    before, images = rows_of(desk, YOURS), len(pictures(desk))
    told = desk.own.forget(MINE)
    assert told.deleted == everything and not told.left
    assert told.sentence == (
        "Deleted: 1 chat, 1 sheet, 1 dataset, 2 examples, 1 run, 1 adapter and 2 uploads."
    )
    assert set(rows_of(desk, MINE).values()) == {0} and rows_of(desk, YOURS) == before
    assert desk.own.held(MINE) == Holdings() and desk.own.held(YOURS) == everything
    assert desk.mentions(WORD) == [] and desk.mentions(MINE) == []
    assert desk.forgotten == [MINE]
    assert len(pictures(desk)) == images - 1  # one of mine was mine alone
    chat = desk.chats.open(YOURS, desk.chats.list(YOURS)[0].id)
    assert all(picture.pixels.load() for picture in chat.messages[0].turn.pictures)
    assert desk.bench.shown(YOURS, desk.bench.recent(YOURS)[0].id, "i0")
    assert not list((desk.data / "forgetting").iterdir())


def test_who_has_nothing_is_told_so(desk: Desk) -> None:
    assert desk.own.forget("nobody").sentence == "There was nothing to delete."


def test_what_a_crash_interrupts_is_gone_on_with_at_the_next_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(owner: str, id: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(desk.bench, "delete", crash)
        with pytest.raises(KeyboardInterrupt):
            desk.own.forget(MINE)
    assert desk.own.held(MINE).sheets == 1
    desk.own.go_on()
    assert desk.own.held(MINE) == Holdings() and desk.own.held(YOURS).chats == 1
    assert not list((desk.data / "forgetting").iterdir())


def test_what_refuses_is_named_and_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(owner: str, id: str) -> None:
        raise BadInput("This adapter is being merged just now: wait until that has ended.")

    with monkeypatch.context() as busy:
        busy.setattr(desk.workshop.adapters, "delete", refuse)
        told = desk.own.forget(MINE)
    assert told.deleted.chats == 1 and told.deleted.adapters == 0
    assert told.sentence.endswith(
        "Not yet deleted: This adapter is being merged just now: wait until that has ended."
    )
    for _ in desk.chats.send(MINE, desk.chats.new(MINE), ("hello again",)):
        pass
    desk.own.go_on()  # what refused, and nothing that was made since
    assert desk.own.held(MINE) == Holdings(chats=1)
    assert not list((desk.data / "forgetting").iterdir())


@pytest.mark.parametrize(
    ("name", "left"),
    [("adapter_config.json", "{"), ("card.json", '{"owner": "%s", "name": "Cel')],
    ids=["no settings", "a card that is cut off"],
)
def test_a_damaged_adapter_is_its_owners_to_delete(desk: Desk, name: str, left: str) -> None:
    for owner in (MINE, YOURS):
        folder = desk.data / "adapters" / f"of-{owner[:1]}"
        (folder / name).write_text(left % owner if "%" in left else left)
    assert desk.own.held(MINE).adapters == 1
    assert desk.own.forget(MINE).deleted.adapters == 1
    assert [each.name for each in (desk.data / "adapters").iterdir()] == ["of-y"]


def test_a_visitor_who_brought_or_trains_something_lately_is_not_forgotten(desk: Desk) -> None:
    now = datetime.now(UTC)
    old = now - timedelta(days=30)
    for owner, brought in ((MINE, old), (YOURS, now)):
        with desk.store.writing() as session:
            for table in (ConversationRow, SheetRow, DatasetRow):
                session.execute(update(table).filter_by(owner=owner).values(updated=old))
            session.execute(update(RunRow).filter_by(owner=owner).values(created=old))
        os.utime(desk.data / "adapters" / f"of-{owner[:1]}", (brought.timestamp(),) * 2)
    desk.end_runs(YOURS, old)  # and that of the other waits in the line
    desk.own.forget_idle(7)
    assert desk.own.held(MINE).chats == desk.own.held(YOURS).chats == 1
    desk.end_runs(MINE, old)
    desk.own.forget_idle(7)
    assert desk.own.held(MINE) == Holdings() and desk.own.held(YOURS).chats == 1


def test_visitors_who_change_nothing_are_forgotten_and_others_are_not(desk: Desk, tmp_path: Path) -> None:
    home, _ = Owners(tmp_path).new(home=True)
    desk.fill("password-0123456789abcdef", "Cellist", tmp_path)
    desk.fill(home, "Harpist", tmp_path)
    for owner in (MINE, YOURS):
        desk.end_runs(owner, datetime.now(UTC))
    desk.own.forget_idle(1)
    assert desk.own.held(MINE).chats == 1
    desk.own.forget_idle(0)
    assert desk.own.held(MINE) == desk.own.held(YOURS) == Holdings()
    assert desk.own.held("password-0123456789abcdef").chats == desk.own.held(home).chats == 1


def test_one_visitor_that_cannot_be_forgotten_keeps_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forget, begun = desk.own.forget, []

    def first_fails(owner: str) -> Forgotten:
        begun.append(owner)
        if len(begun) == 1:
            raise RuntimeError("a row that nobody expected")
        return forget(owner)

    for owner in (MINE, YOURS):
        desk.end_runs(owner, datetime.now(UTC))
    monkeypatch.setattr(desk.own, "forget", first_fails)
    desk.own.forget_idle(0)
    assert sorted(begun) == [MINE, YOURS] and desk.own.held(begun[1]) == Holdings()
    assert "a row that nobody expected" in caplog.text


def test_a_disk_that_refuses_is_told_in_a_sentence(desk: Desk) -> None:
    (desk.data / "forgetting").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        desk.own.forget(MINE)
    assert desk.own.held(MINE).chats == 1, "nothing is deleted that was not written down"


def test_a_run_that_a_crash_kept_from_the_line_goes_and_one_that_learned_stays(desk: Desk) -> None:
    root = desk.data / "runs"
    for name, files in {
        "never-begun": ["config.json"],
        "without-row": ["config.json", "status.json"],
    }.items():
        (root / name).mkdir()
        for file in files:
            (root / name / file).write_text(json.dumps({}))
    drop_runs_without_row(desk.store)
    assert (root / "never-begun").exists()
    drop_runs_without_row(desk.store, seconds=-1)
    assert not (root / "never-begun").exists() and (root / "without-row").exists()
    assert all(run.config for run in desk.workshop.runs.runs(MINE))
