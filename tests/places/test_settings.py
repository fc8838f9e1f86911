"""Where the app believes that it runs, and what follows from that."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlm_app.cli.command import main
from vlm_app.settings import ROOT, Place, Settings, lasts, settings


def of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """The settings of a fresh process under this environment."""
    for name in ("VLM_APP_DATA", "VLM_APP_PLACE", "VLM_APP_MODEL", "VLM_APP_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_a_laptop_is_its_owners_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = of(monkeypatch)
    assert (chosen.place, chosen.host, chosen.model) == (Place.LAPTOP, "127.0.0.1", "pebble")
    assert chosen.lasting and chosen.data.name == "vlm-app"


def test_a_container_serves_everybody_from_its_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = of(monkeypatch, VLM_APP_PLACE="container")
    assert (chosen.place, chosen.host, chosen.model) == (Place.CONTAINER, "0.0.0.0", "pebble")
    assert chosen.data == tmp_path / "data"


def test_a_space_opens_with_small_models_and_says_that_chats_end_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = of(monkeypatch, SPACE_ID="someone/vlm-app")
    assert (chosen.place, chosen.host) == (Place.SPACE, "0.0.0.0")
    assert chosen.offered == ("florence-2-base", "smolvlm2-500m")
    assert not chosen.lasting


def test_zerogpu_is_found_by_what_the_hub_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = of(monkeypatch, SPACE_ID="someone/vlm-app", SPACES_ZERO_GPU="true")
    assert chosen.place is Place.ZEROGPU
    assert chosen.offered == ("qwen3-vl-4b", "florence-2-base")


def test_several_models_may_be_named_and_the_first_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = of(monkeypatch, VLM_APP_MODEL="smolvlm2-500m, pebble")
    assert chosen.offered == ("smolvlm2-500m", "pebble")
    assert chosen.model == "smolvlm2-500m"


def test_a_place_that_does_not_exist_is_refused_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLM_APP_PLACE", "moon")
    settings.cache_clear()
    assert main(["models"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("The environment sets VLM_APP_PLACE to 'moon', expected 'laptop', 'container'")
    assert said.count("VLM_APP_") == 1


@pytest.mark.parametrize(
    ("folder", "outlasts"),
    [("/data/vlm-app", True), ("/home/user/app/data", False), ("/tmp/data", False), ("/my disk/x", True)],
)
def test_a_folder_lasts_only_on_a_mounted_disk(folder: str, outlasts: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw 0 0\nhf /data fuse rw 0 0\n"
        "/dev/sdb /my\\040disk ext4 rw 0 0\n"
    )
    assert lasts(Path(folder), mounts) is outlasts


def test_only_the_settings_look_where_the_app_runs() -> None:
    signs = ("SPACE_ID", "SPACES_ZERO_GPU", "dockerenv")
    sources = [*(ROOT / "vlm_app").rglob("*.py"), ROOT / "app.py"]
    looking = {path.name for path in sources if any(sign in path.read_text() for sign in signs)}
    assert looking == {"settings.py"}
