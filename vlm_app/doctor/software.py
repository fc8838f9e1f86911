"""What is installed: versions, packages, and the models that the app is set to open with."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from vlm_app import __version__, catalog, hub
from vlm_app.doctor.finding import Finding, Level
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import ROOT, settings
from vlm_app.types import Checkpoint, Runs

_TOLD = ("torch", "transformers", "gradio")  # that a report of a fault should name
_LISTED = 4  # packages that are named one by one


def versions() -> Finding:
    """The app's, Python's, and those of the three packages that faults are mostly about."""
    parts = [f"vlm-app {__version__}", f"Python {platform.python_version()}", platform.platform()]
    parts += [f"{name} {found}" for name in _TOLD if (found := _installed(name))]
    return Finding("versions", Level.OK, ", ".join(parts))


def packages(required: Path = ROOT / "requirements.txt") -> Finding:
    """Whether everything that the app imports is there, in a version that it was made for."""
    needs = _needs(required)
    wrong = [said for need in needs if (said := _wrong(need))]
    if not wrong:
        return Finding("packages", Level.OK, f"all {len(needs)} are there")
    more = f", and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
    advice = "Run 'make run', or: pip install -r requirements.txt -c constraints.txt"
    return Finding("packages", Level.PROBLEM, f"{', '.join(wrong[:_LISTED])}{more}", advice)


def _needs(required: Path) -> list[Requirement]:
    """Of the file beside the code; where only the package is installed, of its metadata."""
    if required.is_file():
        lines = [line.partition("#")[0].strip() for line in required.read_text("utf-8").splitlines()]
    else:
        lines = list(requires("vlm-app") or [])
    needs = [Requirement(line) for line in lines if re.match(r"\w", line)]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def _wrong(need: Requirement) -> str:
    found = _installed(need.name)
    if not found:
        return f"{need.name} is missing"
    if need.specifier.contains(found, prereleases=True):
        return ""
    return f"{need.name} is {found}, expected {need.specifier}"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def models() -> Iterator[Finding]:
    """Each model that the app is set to open with: does it exist, fit, and lie on the disk?"""
    from vlm_app.engine import engine

    on_disk = hub.on_disk()
    for id in settings().offered:
        try:
            row, fit = catalog.find(id), engine().fit(id)
        except ModelUnavailable as error:
            yield Finding("model", Level.PROBLEM, f"VLM_APP_MODEL names '{id}'", error.sentence)
            continue
        if row.runs in (Runs.PARSER_ONLY, Runs.CONTRASTIVE) or (row.runs is Runs.SERVER and not row.server):
            advice = "Name a model that runs in this app, one of 'vlm-app models', in VLM_APP_MODEL."
            yield Finding("model", Level.PROBLEM, f"{row.name} does not run in this app", advice)
        elif fit is not None and not fit.fits:
            advice = "Name a smaller one in VLM_APP_MODEL, or end what holds the memory."
            yield Finding("model", Level.PROBLEM, f"{row.name} {fit.words}", advice)
        elif _to_fetch(row, on_disk) and hub.reachable() is False:
            advice = "Let the app reach the Hub once, or name a model that is here in VLM_APP_MODEL."
            yield Finding("model", Level.PROBLEM, f"{row.name} is not on the disk", advice)
        else:
            words = ", ".join(filter(None, (_where(row, on_disk), fit.words if fit else "")))
            yield Finding("model", Level.OK, f"{row.name} {words}")


def _where(row: Checkpoint, on_disk: frozenset[str]) -> str:
    if row.server:
        return f"runs on the server '{row.server}'"
    return "is downloaded when it is first asked" if _to_fetch(row, on_disk) else "is here"


def _to_fetch(row: Checkpoint, on_disk: frozenset[str]) -> bool:
    """Whether its files have yet to come from the Hub."""
    local = row.server or row.runs is not Runs.IN_PROCESS or Path(row.source).is_dir()
    return not (local or row.source in on_disk)
