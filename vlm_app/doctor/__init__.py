"""Looking at a machine before the app is served on it: what is there, what is missing, what to do.

Nothing is changed, loaded or downloaded. The Hub is asked one question.
"""

from __future__ import annotations

from collections.abc import Iterator

from vlm_app.doctor.finding import Finding, Level
from vlm_app.doctor.machine import devices, disk, driver, memory
from vlm_app.doctor.network import hub_access, port, visitors
from vlm_app.doctor.software import models, packages, versions
from vlm_app.settings import settings

__all__ = ["Finding", "Level", "examine"]


def examine() -> Iterator[Finding]:
    """One finding after the other, as soon as it is known; a check that needs a missing package says so."""
    yield versions()
    lacking = packages()
    yield lacking
    yield driver()
    if lacking.level is not Level.PROBLEM:  # they import torch and the Hub's client
        yield from devices()
    yield memory()
    yield disk()
    if lacking.level is not Level.PROBLEM:
        yield hub_access()
        yield from models()
    yield port(settings().host, settings().port)
    yield visitors()
