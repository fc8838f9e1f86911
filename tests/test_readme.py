"""What the README says is so: its commands run, its tree and tables are today's."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.servers import fault_server
from vlm_app.cli import main
from vlm_app.engine import engine
from vlm_app.first_run import DOWNLOAD_GB, OLDEST, VENV_GB
from vlm_app.settings import ROOT

README = (ROOT / "README.md").read_text()
_, FRONT, TEXT = README.split("---\n", 2)
FRONT_MATTER = yaml.safe_load(FRONT)
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()
]
NOT_LISTED = {"__init__.py", "__pycache__", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"}
INSTALLING = {"pyproject.toml", "requirements.txt", "requirements-dev.txt", "constraints.txt"}


def test_it_opens_with_a_sentence_a_screenshot_and_two_commands() -> None:
    blocks = [block for block in TEXT.strip().split("\n\n") if not block.startswith("#")]
    assert blocks[0].count(".") == 1 and blocks[0].endswith(".")
    assert blocks[1].startswith("![")
    assert blocks[2] == "```bash\nmake run\nmake test\n```"


def test_the_space_gets_the_versions_that_are_pinned() -> None:
    pinned = dict(re.findall(r"^([\w-]+) ?==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert FRONT_MATTER["sdk"] == "gradio"
    assert FRONT_MATTER["sdk_version"] == pinned["gradio"]
    assert f"gradio =={FRONT_MATTER['sdk_version']}" in (ROOT / "requirements.txt").read_text().splitlines()
    major, minor = FRONT_MATTER["python_version"].split(".")
    assert (int(major), int(minor)) >= OLDEST


def test_the_space_finds_its_entry_and_its_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (ROOT / FRONT_MATTER["app_file"]).is_file()
    assert FRONT_MATTER["license"] == project["license"].lower()
    assert len(FRONT_MATTER["short_description"]) <= 60


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_its_make_commands_exist(command: str) -> None:
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, timeout=120)


@pytest.fixture
def cleared() -> Iterator[None]:
    """The engine of this process is that of this test's settings, and its models go with it."""
    engine.cache_clear()
    yield
    if engine.cache_info().currsize:
        engine().close()
    engine.cache_clear()


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("vlm-app ")])
def test_its_commands_answer(
    command: str,
    tmp_path: Path,
    cleared: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    with fault_server.serving() as server:
        if command == "vlm-app servers":  # lists what the command before it added
            assert main(["servers", "add", "my-gpu", server.url]) == 0
            capsys.readouterr()
        elsewhere = {
            "http://127.0.0.1:8000/v1": server.url,
            "shapes.json": str(tmp_path / "shapes.json"),
            "signs.hocr": str(tmp_path / "signs.hocr"),
        }
        words = [elsewhere.get(word, word) for word in shlex.split(command)[1:]]
        assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.strip()
    if "--json" in words:
        assert {"text", "regions", "seen", "usage", "timings"} <= set(json.loads(printed))


def test_the_way_without_make_installs_what_make_installs() -> None:
    others = [line for line in COMMANDS if not line.startswith(("make ", "vlm-app "))]
    assert others == [
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "pip install -r requirements.txt",
        "python app.py",
    ]
    assert "install --use-pep517 -r requirements.txt" in (ROOT / "Makefile").read_text()


def test_its_sizes_are_the_measured_ones_and_are_checked_before_installing() -> None:
    text = " ".join(TEXT.split())
    measured = json.loads((ROOT / "benchmarks" / "install.json").read_text())
    assert f"downloads {measured['requirements.txt']['fetched'] / 1e9:.1f} GB" in text
    assert measured["requirements-dev.txt"]["kept"] / 1e9 <= VENV_GB
    assert sum(row["fetched"] for row in measured.values() if isinstance(row, dict)) / 1e9 <= DOWNLOAD_GB
    assert f"{VENV_GB:.0f} GB stay on the disk" in text
    assert f"{VENV_GB + 2 * DOWNLOAD_GB:.0f} GB have to be free" in text


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_its_tree_is_the_projects() -> None:
    block = re.search(r"```\n(app\.py .*?)```", TEXT, re.DOTALL)
    assert block
    lines = [line for line in block.group(1).splitlines() if line]
    top = {line.split()[0].rstrip("/") for line in lines if not line.startswith(" ")}
    rooms = {line.split()[0].rstrip("/") for line in lines if line.startswith("  ")}
    assert top == _names(ROOT) - INSTALLING
    assert rooms == _names(ROOT / "vlm_app")


def _names(folder: Path) -> set[str]:
    """What a visitor sees in a folder of the project: no hidden, ignored or generated names."""
    ignored = (ROOT / ".gitignore").read_text().split()
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - NOT_LISTED
    return {name for name in names if f"/{name}/" not in ignored and not name.endswith(".egg-info")}
