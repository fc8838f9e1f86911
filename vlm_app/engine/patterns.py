"""Patterns in an adapter's settings, which anybody may have written: none may take longer than it should.

peft reads them with `re`, which cannot be interrupted and lets no other thread of the app run
meanwhile: a few letters are enough to keep it busy for ever.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

_SECONDS = 1.0  # for all modules of a model
# Names, also with numbers left open, as this app writes them: whatever they are matched with, it is quick.
_NAMES = r"(?:[\w.|^$-]|\\[.-]|\\d\+?)*"
_PLAIN = re.compile(_NAMES)
_PART = re.compile(rf"(?:\.\*)?{_NAMES}")  # peft itself writes some that begin with whatever
_NO_PATTERN = "all-linear"  # peft's own word for every linear layer
_NOTHING = "none"  # a name that no module has


def tame(config: Any, model: Any) -> str:
    """Put the names of the model's modules in the place of patterns that could take long.

    Returns what is wrong with a pattern that cannot be read in time, or ''.
    """
    import regex  # type: ignore[import-untyped]

    for part in _parts(config):
        if not _PART.fullmatch(part):
            return f"a pattern where the name of a module belongs ({part[:80]})"
    for setting in ("target_modules", "exclude_modules"):
        pattern = getattr(config, setting, None)
        if not isinstance(pattern, str) or pattern == _NO_PATTERN or _PLAIN.fullmatch(pattern):
            continue
        try:
            names = _fitting(regex.compile(pattern), model)
        except (TimeoutError, regex.error):
            return f"a pattern of modules that cannot be read in {_SECONDS:g} s ({pattern[:80]})"
        setattr(config, setting, "|".join(map(re.escape, names)) or _NOTHING)
    return ""


def _parts(config: Any) -> Iterator[str]:
    """What peft makes parts of patterns of."""
    for mapping in (config.rank_pattern, config.alpha_pattern):
        yield from map(str, mapping or ())
    for names in (config.modules_to_save, config.layers_pattern):
        yield from [names] if isinstance(names, str) else map(str, names or ())


def _fitting(pattern: Any, model: Any) -> list[str]:
    """The names of modules that fit. Raises `TimeoutError`."""
    until = time.monotonic() + _SECONDS
    found = []
    for name, _ in model.named_modules():
        left = max(until - time.monotonic(), 1e-3)
        if pattern.fullmatch(name, timeout=left, concurrent=True):
            found.append(name)
    return found
