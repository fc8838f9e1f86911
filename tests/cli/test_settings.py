"""What can be set, in the terminal and on a page that is today's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlm_app.cli import main
from vlm_app.cli.settings import page, variable
from vlm_app.settings import ROOT, Settings, settings

OURS = re.compile(r"\bVLM_APP_[A-Z_]*[A-Z]\b")
NOT_SETTINGS = re.compile("VLM_APP_TEST_SIZE|VLM_APP_KEY(_.*)?")  # for tests; keys of servers
TOLD_IN = [
    path
    for pattern in ("README.md", "SECURITY.md", "Dockerfile", "compose.yaml", "docs/*.md")
    for path in ROOT.glob(pattern)
]


def test_the_page_of_settings_is_todays() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == page(), "run: vlm-app settings --markdown > docs/settings.md"


def test_every_setting_says_what_it_is() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


@pytest.mark.parametrize("path", TOLD_IN, ids=lambda path: path.name)
def test_what_is_told_to_be_set_can_be_set(path: Path) -> None:
    known = {variable(name, field) for name, field in Settings.model_fields.items()}
    told = {each for each in OURS.findall(path.read_text("utf-8")) if not NOT_SETTINGS.fullmatch(each)}
    assert told <= known


def test_the_command_shows_what_was_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLM_APP_MEMORY", "8GB")
    settings.cache_clear()
    assert main(["settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(Settings.model_fields)
    assert "* VLM_APP_MEMORY                  8GB" in lines
    assert "  VLM_APP_PORT                    7860" in lines


def test_the_command_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == page()
