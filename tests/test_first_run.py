"""`make run` on a machine that lacks something: one sentence, and nothing installed."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vlm_app import first_run

ROOT = Path(__file__).resolve().parent.parent
FILES = ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml")


def make(tmp_path: Path, target: str, python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`make target` in a copy of the project that has no .venv."""
    project = tmp_path / "a project"
    (project / "vlm_app").mkdir(parents=True)
    for name in (*FILES, "vlm_app/__init__.py", "vlm_app/first_run.py"):
        shutil.copy(ROOT / name, project / name)
    done = subprocess.run(
        ["make", target, f"PYTHON={python}"],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not (project / ".venv").exists()
    return done


def python_with(tmp_path: Path, lie: str) -> str:
    """A Python on which `lie` was run before the program that it is given by -m."""
    fake = tmp_path / "python3"
    program = f"import runpy, shutil, sys; {lie}; runpy.run_module(sys.argv[2], run_name='__main__')"
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}" "$@"\n')
    fake.chmod(0o755)
    return str(fake)


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("sys.version_info = (3, 9, 2)", "Python 3.11 or newer is needed, this is 3.9"),
        ("sys.modules['ensurepip'] = None", "apt-get install python3-venv"),
        ("sys.modules['venv'] = None", "apt-get install python3-venv"),
        (
            "shutil.disk_usage = lambda folder: type('Usage', (), dict(free=2.0e9))",
            "where 2.0 GB are free: make room there",
        ),
    ],
    ids=["an old Python", "no ensurepip", "no venv", "a full disk"],
)
def test_a_machine_that_lacks_something_is_told_what_in_a_sentence(
    tmp_path: Path, lie: str, sentence: str
) -> None:
    done = make(tmp_path, "run", python_with(tmp_path, lie))
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_without_python_is_told_so(tmp_path: Path) -> None:
    done = make(tmp_path, "run", "python3-that-is-not-there")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed and python3-that-is-not-there was not found" in done.stderr


def test_a_machine_without_a_browser_is_told_so_where_it_cannot_be_installed(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "id", "make"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = make(tmp_path, "browser", sys.executable, PATH=str(tools))
    assert done.returncode != 0
    assert "The browser tests need Chromium" in done.stderr


def test_the_check_can_be_read_by_an_old_python() -> None:
    for name in ("__init__.py", "first_run.py"):
        ast.parse((ROOT / "vlm_app" / name).read_text(), feature_version=(3, 6))


def test_folders_that_are_made_later_are_looked_for_where_they_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later, usage = str(tmp_path / "nobody" / "home"), shutil.disk_usage(tmp_path)
    needed = first_run.VENV_GB + 2 * first_run.DOWNLOAD_GB
    for free, there in ((needed * 1e9 + 1, ""), (needed * 1e9 - 1, str(tmp_path))):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: usage._replace(free=int(free)))
        told = first_run.disk_problem(str(tmp_path), str(tmp_path), later)
        assert bool(told) == bool(there) and there in told
