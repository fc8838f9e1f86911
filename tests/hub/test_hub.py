"""What the Hub is asked, what is kept of it, and what is said when it does not answer."""

from __future__ import annotations

import dataclasses
import stat
from datetime import UTC, datetime

import pytest

from tests.hub.conftest import NEW, OLD, files
from tests.hub.fake_hub import FakeHub
from vlm_app import hub as room
from vlm_app.catalog import catalog
from vlm_app.errors import ModelUnavailable
from vlm_app.hub import Found
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Task

TODAY = datetime.now(UTC).date().isoformat()
ROW = Checkpoint("qwen", "Qwen", "qwen2_5_vl", "some/qwen", frozenset({Task.CHAT}))


# --- checking -----------------------------------------------------------------------------


def test_a_check_says_what_the_hub_says_and_is_kept(hub: FakeHub) -> None:
    assert room.findings("some/qwen") is None
    finding = room.check("some/qwen")
    assert dataclasses.asdict(finding) == {
        "date": finding.date,
        "exists": True,
        "gated": "",
        "licence": "apache-2.0",
        "safetensors": True,
        "parameters": 10,
        "revision": OLD,
    }
    assert finding.date >= TODAY
    assert room.findings("some/qwen") == finding


def test_a_gated_model_and_one_without_safetensors_are_told(hub: FakeHub) -> None:
    assert room.check("some/gated-qwen").gated == "manual"
    assert not room.check("some/pickled").safetensors


def test_a_missing_repository_is_a_finding(hub: FakeHub) -> None:
    assert not room.check("some/nothing").exists
    kept = room.findings("some/nothing")
    assert kept is not None and not kept.exists


def test_a_check_shows_on_the_row(hub: FakeHub) -> None:
    row = catalog()["smolvlm2-500m"]
    assert row.checked == ""
    room.check(row.source)
    assert catalog()["smolvlm2-500m"].checked >= TODAY


@pytest.mark.parametrize(
    ("status", "words"), [(429, r"try again in 7 seconds"), (401, "sign in again"), (418, "status 418")]
)
def test_a_refusal_is_a_sentence_and_nothing_is_kept(hub: FakeHub, status: int, words: str) -> None:
    hub.status = status
    with pytest.raises(ModelUnavailable, match=words):
        room.upgrade("some/qwen")
    assert room.revision("some/qwen") == ""


def test_without_a_network_nothing_is_kept() -> None:
    for ask in (room.check, room.lock, room.upgrade, room.search_hub, room.add):
        with pytest.raises(ModelUnavailable, match="check the network"):
            ask("some/qwen")
    assert room.findings("some/qwen") is None and room.revision("some/qwen") == ""


# --- commits ------------------------------------------------------------------------------


def test_a_lock_stays_until_it_is_upgraded(hub: FakeHub) -> None:
    assert room.lock("some/qwen") == OLD
    hub.repos["some/qwen"].commits[NEW] = files(model_type="qwen2_5_vl")
    assert room.lock("some/qwen") == OLD
    assert room.upgrade("some/qwen") == NEW
    assert room.revision("some/qwen") == NEW


def test_the_first_download_locks_its_commit_and_later_loads_use_it(hub: FakeHub) -> None:
    first = room.download(ROW)
    assert first.name == OLD == room.revision("some/qwen")
    assert (first / "model.safetensors").is_file()
    hub.repos["some/qwen"].commits[NEW] = files(model_type="qwen2_5_vl") | {"new.json": b"{}"}
    assert room.download(ROW) == first
    room.upgrade("some/qwen")
    later = room.download(ROW)
    assert later.name == NEW and (later / "new.json").is_file()


def test_only_files_that_hold_data_are_downloaded(hub: FakeHub) -> None:
    hub.repos["some/qwen"].commits[OLD] |= {"modeling_evil.py": b"import os", "weights.bin": b"x"}
    folder = room.download(ROW)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}


def test_a_commit_that_is_gone_is_named(hub: FakeHub) -> None:
    room.keep("some/qwen", "3" * 40)
    with pytest.raises(ModelUnavailable, match="'vlm-app models upgrade'"):
        room.download(ROW)


def test_a_gated_model_says_where_its_licence_is_accepted(hub: FakeHub) -> None:
    row = dataclasses.replace(ROW, source="some/gated-qwen")
    with pytest.raises(
        ModelUnavailable, match=r"accept the licence at https://\S+/some/gated-qwen, then sign in"
    ):
        room.download(row)


# --- searching ----------------------------------------------------------------------------


def test_a_search_names_the_family_and_puts_the_most_downloaded_first(hub: FakeHub) -> None:
    assert room.search_hub("qwen") == (
        Found("some/gated-qwen", 9, True, "gemma", "gemma3", False),
        Found("some/qwen", 5, False, "apache-2.0", "qwen2_5_vl", False),
    )
    assert room.search_hub("zebra") == ()


def test_the_files_are_only_the_owners(hub: FakeHub) -> None:
    room.lock("some/qwen")
    paths = list((settings().data / "models").iterdir())
    assert {path.name for path in paths} - {".lock"} == {"lock.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
