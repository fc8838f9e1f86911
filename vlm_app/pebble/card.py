"""The model's card: what commands write into it, between two marks of the same name."""

from __future__ import annotations

import os
from pathlib import Path


def fill(card: Path, part: str, text: str) -> None:
    """Replace what stands between the two `<!-- part -->` marks of the card."""
    mark = f"<!-- {part} -->"
    before, _, after = card.read_text(encoding="utf-8").split(mark)
    card.write_text(f"{before}{mark}\n{text}\n{mark}{after}", encoding="utf-8")


def processor() -> str:
    """This machine in a few words: its processor and how many cores of it are there."""
    names = [line.partition(":")[2].strip() for line in _cpu() if line.startswith("model name")]
    return f"{names[0] if names else 'CPU'}, {os.cpu_count()} cores"


def _cpu() -> list[str]:
    info = Path("/proc/cpuinfo")
    return info.read_text(encoding="utf-8").splitlines() if info.exists() else []
