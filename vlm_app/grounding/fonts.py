"""Fonts for labels in any script.

matplotlib ships DejaVu Sans (Latin, Greek, Cyrillic, Arabic, Hebrew, symbols). A label
that it has no glyphs for (Chinese, Thai ...) takes a font of the system that has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

_PLAIN = 0x0250  # below lie Latin letters, which DejaVu has all of
_PREFERRED = ("noto", "cjk", "droid", "wqy", "unifont", "pingfang", "hiragino", "msyh", "arial", "segoe")
_UNFIT = ("emoji", "mono", "serif", "bold", "italic", "oblique", "lastresort")


def face(text: str, size: int) -> ImageFont.FreeTypeFont:
    """The font for a text, `size` pixels to the em: DejaVu Sans unless another shows more of it."""
    return _load(_file(frozenset(char for char in text if ord(char) >= _PLAIN)), size)


@cache
def _load(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), size)


@cache
def _dejavu() -> Path:
    spec = find_spec("matplotlib")  # finds its folder without the cost of importing it
    if spec is None or spec.origin is None:
        raise RuntimeError("matplotlib, which ships the label font, is not installed")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def _file(rare: frozenset[str]) -> Path:
    """The font file that has most of some characters; DejaVu where it has as many."""
    best, most = _dejavu(), _held(_dejavu(), rare)
    for path in _installed() if most < len(rare) else ():
        if (held := _held(path, rare)) > most:
            best, most = path, held
        if most == len(rare):
            break
    return best


def _held(path: Path, chars: Iterable[str]) -> int:
    glyphs = _glyphs(path)
    return sum(ord(char) in glyphs for char in chars)


@cache
def _glyphs(path: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font  # a quarter of a second: only for a label that needs it

    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except RuntimeError:  # FreeType cannot read it: it has nothing for us
        return frozenset()


@cache
def _installed() -> tuple[Path, ...]:
    """The system's font files, those likely to have many scripts first."""
    from matplotlib.font_manager import findSystemFonts

    paths = (Path(name) for name in findSystemFonts())
    fit = [path for path in paths if not any(word in path.name.lower() for word in _UNFIT)]

    def rank(path: Path) -> tuple[bool, str]:
        return (not any(word in path.name.lower() for word in _PREFERRED), str(path))

    return tuple(sorted(fit, key=rank))
