"""Region colours that colour-blind people tell apart.

Okabe and Ito, 'Color Universal Design', 2008 (https://jfly.uni-koeln.de/color/), without
black, which serves as the contrasting hairline.
"""

from __future__ import annotations

from collections.abc import Sequence

from vlm_app.types import Region

PALETTE = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#D55E00",  # vermillion
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#F0E442",  # yellow
)

DARK, LIGHT = "#111111", "#FFFFFF"


def colours(regions: Sequence[Region]) -> tuple[str, ...]:
    """One hex colour per region: the same label has the same colour.

    Labels take the palette's colours in the order in which they first appear, from the
    start again when there are more labels than colours. Case and outer spaces of a
    label do not count.
    """
    given: dict[str, str] = {}
    for region in regions:
        given.setdefault(_key(region), PALETTE[len(given) % len(PALETTE)])
    return tuple(given[_key(region)] for region in regions)


def _key(region: Region) -> str:
    return region.label.strip().casefold()


def ink(colour: str) -> str:
    """Near-black or white, whichever reads better on a colour (contrast ratio of WCAG 2.2)."""
    return max((DARK, LIGHT), key=lambda text: contrast(text, colour))


def contrast(a: str, b: str) -> float:
    """The WCAG 2.2 contrast ratio of two hex colours, 1 to 21."""
    lighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def rgb(colour: str) -> tuple[int, int, int]:
    """'#0072B2' as (0, 114, 178)."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if (part := value / 255) <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for value in rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
