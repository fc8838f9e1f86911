"""What the Dockerfile and compose.yaml say, without an engine: what a reader of them relies on."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker.steps import Ignored, read
from vlm_app.hub import caches
from vlm_app.settings import ROOT, Place, Settings
from vlm_app.ui import ending

STEPS = read(ROOT / "Dockerfile")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def said(word: str) -> list[str]:
    return [step.rest for step in STEPS if step.word == word]


def test_hadolint_finds_nothing_to_say() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    found = str(beside) if beside.exists() else shutil.which("hadolint")
    assert found, "hadolint is missing: `pip install -r requirements-dev.txt` brings it."
    done = subprocess.run([found, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout


def test_everything_that_is_installed_is_pinned() -> None:
    [base] = said("FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    debian = re.findall(r"--no-install-recommends (.+?) &&", " ".join(said("RUN")))
    assert debian and all(re.fullmatch(r"[a-z0-9.+-]+=\S+", each) for each in debian[0].split())
    pip = [line for line in said("RUN") if "pip install" in line]
    variables = " ".join(said("ENV"))
    assert len(pip) == 2 and "-r requirements.txt" in pip[0] and "--no-deps" in pip[1]
    assert "PIP_CONSTRAINT=/app/constraints.txt" in variables
    names = re.findall(r"^(\S+?)(?:\[.*\])?\s*(?:[~=<>].*)?$", (ROOT / "requirements.txt").read_text(), re.M)
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {name.lower().replace("_", "-") for name in names if not name.startswith("#")} <= pinned


def test_it_runs_as_user_1000_on_port_7860_below_an_init() -> None:
    assert said("USER") == ["1000"] and said("EXPOSE") == ["7860"]
    assert STEPS[-2].rest == '["tini", "--"]' and STEPS[-1].rest == '["vlm-app", "serve"]'
    assert [step.word for step in STEPS].index("USER") > max(
        place for place, step in enumerate(STEPS) if step.word in ("RUN", "COPY")
    ), "the project belongs to root, so the app cannot change itself"


def test_its_settings_are_ones_that_the_app_knows_and_no_secret_is_among_them() -> None:
    names = re.findall(r"(\w+)=", " ".join(said("ENV")))
    known = {f"VLM_APP_{name.upper()}" for name in Settings.model_fields} | {"VLM_APP_MODEL"}
    assert {name for name in names if name.startswith("VLM_APP_")} <= known
    secret = re.compile(r"TOKEN|SECRET|PASSWORD|(API|ACCESS)_?KEY", re.IGNORECASE)
    assert not [name for name in [*names, *said("ARG")] if secret.search(name)]


LEFT_OUT = (".env", ".git/config", "data/app.db", "token", "vlm_app/.env", "vlm_app/__pycache__/a.pyc")


@pytest.mark.parametrize("path", [*LEFT_OUT, "tests/conftest.py"])
def test_what_is_nobodys_business_never_reaches_the_builder(path: str) -> None:
    assert Ignored(ROOT / ".dockerignore")(path)


def test_what_the_dockerfile_copies_reaches_the_builder() -> None:
    ignored = Ignored(ROOT / ".dockerignore")
    for line in said("COPY"):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists() and not ignored(source), source
    assert not ignored("vlm_app/ui/page.py") and not ignored("models/pebble/model.safetensors")


def test_what_is_fetched_from_the_hub_lies_in_a_volume_of_the_apps_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [data] = re.findall(r"VLM_APP_DATA=(\S+)", " ".join(said("ENV")))
    chosen = Settings(place=Place.CONTAINER, data=Path(data))
    monkeypatch.setattr(caches, "settings", lambda: chosen)
    hub = caches.cache_of("somebody/something")
    [volumes] = [step.words for step in STEPS if step.word == "VOLUME"]
    assert volumes == [data, str(hub)]
    [owned] = re.findall(r"install -d -o 1000 -g 1000 ((?:/\S+ ?)+)", " ".join(said("RUN")))
    above = [str(each) for each in (hub, *hub.parents) if each.is_relative_to(data)]
    assert sorted(owned.split()) == sorted(above), "install gives a folder above it to root"
    by_hand = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert all(re.search(rf"--volume [\w-]+:{path} ", by_hand) for path in volumes)


def test_compose_keeps_what_the_image_calls_volumes_and_waits_for_the_end() -> None:
    volumes = {path for step in STEPS if step.word == "VOLUME" for path in step.words}
    for name, service in COMPOSE["services"].items():
        kept = dict(reversed(each.split(":")) for each in service["volumes"])
        assert set(kept) == volumes and set(kept.values()) <= set(COMPOSE["volumes"]), name
        assert service["ports"] == ["127.0.0.1:7860:7860"] and service["read_only"] is True
        longest = max(ending.ANSWER_SECONDS + ending.KEPT_SECONDS, ending.RUN_SECONDS)
        assert int(service["stop_grace_period"].removesuffix("s")) > longest + 10
        assert "environment" not in service and service["env_file"] == [{"path": ".env", "required": False}]
    gpu = COMPOSE["services"]["gpu"]
    assert gpu["profiles"] == ["gpu"] and "profiles" not in COMPOSE["services"]["app"]
    [device] = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
