"""A Dockerfile, performed in a folder: what a build would do, without an engine and without root.

`python -m tests.docker.steps ROOT CONTEXT [whole]` builds; then `Image.look` knows how to run what was built.

The folder stands for the image's root: `/app` is the folder `app` in it, and so on. What the image's
base and its RUN of Debian's tools bring (Python, pip, the user) is this machine's.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

USER = 1000
WITH_ROOT = re.compile(
    r"apt-get |rm -rf /var/lib/apt|useradd |install -d -o "
)  # of a RUN: what only root can do
HEAVY = "pip install --use-pep517 -r requirements.txt"


@dataclass(frozen=True)
class Step:
    """One instruction: its word, and the rest of its lines as one."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The rest as arguments: JSON, or as a shell reads them."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)


def read(path: Path) -> list[Step]:
    """The steps of a Dockerfile."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*re.split(r"\s+", line, maxsplit=1)) for line in whole.splitlines()]


class Ignored:
    """A .dockerignore: the last line that fits a path, or a folder above it, decides."""

    def __init__(self, path: Path) -> None:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        self.lines = [line for line in lines if line and not line.startswith("#")]

    def __call__(self, path: str) -> bool:
        parts, ignored = path.split("/"), False
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        for line in self.lines:
            pattern = line.removeprefix("!")
            if any(fits(each, pattern) for each in above):
                ignored = not line.startswith("!")
        return ignored


def fits(path: str, pattern: str) -> bool:
    """Whether a path is what a pattern names; `**/` is any folder, `*` stays within one."""
    if pattern.startswith("**/"):
        return fits(path, pattern[3:]) or ("/" in path and fits(path.partition("/")[2], pattern))
    names, wanted = path.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatch.fnmatchcase, names, wanted))


@dataclass
class Image:
    """What the steps have made so far."""

    root: Path
    context: Path
    whole: bool  # installs everything; else takes the packages at hand
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    meta: dict[str, Step] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = {"PATH": f"{self.root}/usr/local/bin:{os.environ['PATH']}", "HOME": "/nowhere"}

    def build(self) -> None:
        """Every step, in the order of the file; then only the volumes and /tmp can be written to."""
        python = self.root / "usr/local"
        venv.create(python, with_pip=self.whole, symlinks=True)
        if not self.whole:
            self._at_hand(python)
        self.look(("COPY", "RUN"))
        for path in (*self.meta["VOLUME"].words, "/tmp"):
            self.at(path).mkdir(parents=True, exist_ok=True)  # one may lie in another
        for name in ("app", "usr"):
            subprocess.run(["chmod", "-R", "a-w", str(self.root / name)], check=True)
        self.root.chmod(0o555)

    def look(self, more: Sequence[str] = ()) -> None:
        """What the image says of itself, and these instructions, too."""
        for step in read(self.context / "Dockerfile"):
            if step.word in ("ENV", "WORKDIR", *more):
                getattr(self, f"_{step.word.lower()}")(step)
            else:
                self.meta[step.word] = step

    def _at_hand(self, python: Path) -> None:
        """The packages of the Python that runs this, and its pip."""
        [site] = python.glob("lib/python*/site-packages")
        (site / "at_hand.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = python / "bin/pip"
        pip.write_text(f'#!/bin/sh\nexec "{python}/bin/python" -m pip "$@"\n')
        pip.chmod(0o755)

    def at(self, path: str) -> Path:
        """Where a path of the image lies."""
        return self.root / (self.folder / path).relative_to("/")

    # --- instructions -----------------------------------------------------------------------

    def _env(self, step: Step) -> None:
        for word in step.words:
            name, _, value = word.partition("=")
            self.environment[name] = str(self.at(value)) if value.startswith("/") else value

    def _workdir(self, step: Step) -> None:
        self.folder = Path(step.rest)
        if not self.at("").exists():
            self.at("").mkdir(parents=True)

    def _copy(self, step: Step) -> None:
        *sources, to = step.words
        ignored = Ignored(self.context / ".dockerignore")
        for source in sources:
            target = self.at(to) / source if to.endswith("/") else self.at(to)
            for file in self._files(source):
                if not ignored(file):
                    there = target / Path(file).relative_to(source)
                    there.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.context / file, there)

    def _files(self, source: str) -> Iterator[str]:
        found = self.context / source
        if not found.exists():
            raise FileNotFoundError(f"The Dockerfile copies {source}, which is not there.")
        every = found.rglob("*") if found.is_dir() else [found]
        yield from (str(path.relative_to(self.context)) for path in every if path.is_file())

    def _run(self, step: Step) -> None:
        for command in step.rest.split(" && "):
            if not WITH_ROOT.match(command) and (self.whole or command.strip() != HEAVY):
                self.run(["sh", "-c", command])

    # --- running in it ------------------------------------------------------------------------

    def run(self, words: Sequence[str]) -> str:
        """A command to its end; what it said."""
        process = self.start(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = process.communicate(timeout=1800)
        if process.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {process.returncode}:\n{said[-3000:]}")
        return str(said)

    def start(self, words: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """A command, as the user of the app and with the image's environment alone."""
        found = shutil.which(words[0], path=self.environment["PATH"]) or words[0]
        outside = {} if "VLM_APP_DATA" in self.environment else registry()
        environment = {**outside, **self.environment, "TMPDIR": str(self.root / "tmp")}
        if not Path(environment["TMPDIR"]).exists():
            del environment["TMPDIR"]  # while it is built
        before, whose = user()
        process: subprocess.Popen[str] = subprocess.Popen(
            [*before, found, *words[1:]], cwd=self.at(""), env=environment, text=True, **whose, **options
        )
        return process


def registry() -> dict[str, str]:
    """What this machine needs to reach its package registry, while the image is built."""
    from tests.fresh.outside import pip_settings_here, variables

    return {**variables(), **pip_settings_here()}


@cache
def user() -> tuple[tuple[str, ...], dict[str, Any]]:
    """What makes a command not root's, whoever starts it: words before it, and options of `Popen`.

    Root becomes another user in a namespace, where that is allowed: it still finds its own Python.
    """
    if os.geteuid():
        return (), {}
    words = ("unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--")
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        return words, {}
    return (), {"user": USER, "group": USER}


def can_look() -> bool:
    """Whether that user may use the Python that runs this: it may lie where only root looks."""
    words, options = user()
    tried = [*words, sys.executable, "-c", "import pip, pydantic"]
    try:
        return bool(subprocess.run(tried, capture_output=True, check=False, **options).returncode == 0)
    except PermissionError:
        return False


if __name__ == "__main__":
    Image(Path(sys.argv[1]), Path(sys.argv[2]), "whole" in sys.argv).build()
