"""What a Space reads of this repository is what it offers, and what the app needs there."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from vlm_app.catalog import catalog
from vlm_app.settings import ROOT, Settings

FRONT: dict[str, Any] = yaml.safe_load((ROOT / "README.md").read_text().split("---\n", 2)[1])
OFFERED = tomllib.loads((ROOT / "docs" / "spaces.toml").read_text())
LARGEST = 10_000_000  # bytes: a larger file needs Git LFS or Xet on the Hub


def requirements(file: str) -> dict[str, Requirement]:
    lines = (re.sub(r"\s+#.*", "", line) for line in (ROOT / file).read_text().splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]
    return {each.name: each for each in found}


def test_gradio_is_the_one_that_is_pinned() -> None:
    (pin,) = requirements("requirements.txt")["gradio"].specifier
    assert (FRONT["sdk"], FRONT["sdk_version"]) == ("gradio", pin.version)
    assert pin.operator == "=="


def test_python_is_one_that_every_kind_of_space_offers() -> None:
    wanted = Version(FRONT["python_version"])
    minors = {Version(each).release[:2] for each in OFFERED["zerogpu"]["python"]}
    assert wanted.release in minors
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert Requirement(f"python{oldest}").specifier.contains(f"{wanted}.0")


def test_zerogpu_gets_a_torch_that_it_offers_and_the_app_allows() -> None:
    first, then = requirements("docs/zerogpu-requirements.txt"), requirements("requirements.txt")
    (torch,) = first["torch"].specifier
    assert torch.version == max(OFFERED["zerogpu"]["torch"], key=Version)
    for name, package in first.items():
        (pin,) = package.specifier
        assert then[name].specifier.contains(pin.version)


def test_the_list_of_what_a_place_offers_has_its_source_and_date() -> None:
    for name, place in OFFERED.items():
        assert place["source"].startswith("https://huggingface.co/docs/hub/"), name
        assert place["read"].year >= 2026, name


def test_the_card_has_values_that_the_hub_knows() -> None:
    known = OFFERED["space"]
    assert FRONT["suggested_hardware"] in known["hardware"]
    assert {FRONT["colorFrom"], FRONT["colorTo"]} <= set(known["colours"])
    assert re.fullmatch(r"\d+[hm]", FRONT["startup_duration_timeout"])
    assert (ROOT / FRONT["app_file"]).is_file()
    assert FRONT["tags"] and FRONT["license"]


@pytest.mark.parametrize(("place", "preloaded"), [("space", True), ("zerogpu", False)])
def test_the_models_that_a_space_opens_with_stand_on_its_card(
    place: str, preloaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_APP_PLACE", place)
    monkeypatch.delenv("VLM_APP_MODEL", raising=False)
    repositories = [catalog()[model].source for model in Settings().offered]
    assert set(repositories) <= set(FRONT["models"])
    if preloaded:
        assert repositories == FRONT["preload_from_hub"]


def test_no_file_needs_git_lfs() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout: what belongs to the project is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / Path(name) for name in listed.decode().split("\0") if name]
    large = [str(file) for file in files if file.is_file() and file.stat().st_size > LARGEST]
    assert files and not large


def test_the_way_to_a_space_is_written_with_todays_commands() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert "hf upload YOU/vlm-app . ." in page
    uploaded = re.search(r"hf upload YOU/vlm-app (\S+) pre-requirements\.txt", page)
    assert uploaded and (ROOT / uploaded[1]).is_file()
