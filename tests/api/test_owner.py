"""Who a visitor is, from a signed cookie."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vlm_app.api.owner import Owners


def test_cookie_names_its_owner_also_after_a_restart(tmp_path: Path) -> None:
    owner, cookie = Owners(tmp_path).new()
    assert Owners(tmp_path).read(cookie) == owner


def test_forged_cookies_name_nobody(tmp_path: Path) -> None:
    owner, cookie = Owners(tmp_path / "one").new()
    owners = Owners(tmp_path / "two")
    for forged in (cookie, owner, f"{owner}.", cookie[:-1] + "x", "é.é", "", None):
        assert owners.read(forged) is None


def test_every_visitor_is_another_one(tmp_path: Path) -> None:
    owners = Owners(tmp_path)
    assert len({owners.new()[0] for _ in range(100)}) == 100


def test_secret_is_for_this_user_alone(tmp_path: Path) -> None:
    Owners(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("left", [b"", b"half of it"], ids=["nothing", "a part"])
def test_a_secret_of_which_a_crash_left_less_is_made_anew(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "secret").write_bytes(left)
    owners = Owners(tmp_path)
    assert len(owners.secret) == 64 and Owners(tmp_path).secret == owners.secret
    assert {path.name for path in tmp_path.iterdir()} <= {"secret", ".secret.lock"}


@pytest.mark.parametrize("left", [None, b"half of it"], ids=["nothing", "a part"])
def test_all_that_begin_at_once_have_one_secret(tmp_path: Path, left: bytes | None) -> None:
    with ThreadPoolExecutor(16) as pool:
        for round in range(20):
            data = tmp_path / str(round)
            data.mkdir()
            if left:
                (data / "secret").write_bytes(left)
            secrets = {owners.secret for owners in pool.map(Owners, [data] * 16)}
            assert secrets == {(data / "secret").read_bytes()}
