"""A picture with an answer's regions over it, as HTML: an SVG that is sharp at any size.

Each region carries the key of its phrase (`data-r`), so that hovering one lights the other.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from vlm_app.grounding import bounds, ink
from vlm_app.types import Box, Mask, Point, Polygon, Region
from vlm_app.ui.addresses import under_root

LARGEST = (640, 384)  # pixels of the page that a picture may take
CROWD = 14  # more regions than this show their label when they are looked at
LABEL_HEIGHT, LETTER_WIDTH = 22, 7.2  # of a label, in pixels of the page


@dataclass(frozen=True, slots=True)
class Drawn:
    """A region with the key that its phrase shares, and its colour as `#rrggbb`."""

    region: Region
    key: str
    colour: str


def figure(
    media_id: str,
    size: tuple[int, int],
    drawn: Sequence[Drawn],
    *,
    name: str,
    saved_as: str = "",
    opens: str = "",
) -> str:
    """The figure of one picture. `size` is (width, height); `saved_as` links a drawn copy, `opens`
    are the attributes of a button that opens the answer on the workbench."""
    width, height = size
    shown = _shown(size)
    shapes = "".join(_shape(each, size) for each in drawn)
    labels = "".join(_labels(drawn, shown))
    address = under_root(f"/media/{escape(media_id, quote=True)}")
    many = " crowd" if len(drawn) > CROWD else ""
    count = f"{len(drawn)} region{'s' if len(drawn) != 1 else ''}"
    copy = (
        f'<a href="{escape(saved_as, quote=True)}" target="_blank">picture with regions</a>'
        if saved_as
        else ""
    )
    bench = f'<button type="button" class="link" {opens}>open in workbench</button>' if opens else ""
    return (
        f'<figure class="overlay{many}" style="max-width:{shown[0]}px">'
        f'<div class="canvas" style="aspect-ratio:{width}/{height}">'
        f'<img src="{address}" alt="{escape(name)}, {count}" width="{width}" height="{height}">'
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{shapes}</svg>{labels}</div>'
        f"<figcaption><span>{escape(name)} · {count}</span>"
        f'<a href="{address}" target="_blank">original</a>{copy}{bench}</figcaption></figure>'
    )


def _shown(size: tuple[int, int]) -> tuple[int, int]:
    """Size on the page: as large as there is room, in the picture's own ratio."""
    factor = min(LARGEST[0] / size[0], LARGEST[1] / size[1])
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _shape(drawn: Drawn, size: tuple[int, int]) -> str:
    """One region: the same outline twice, so that a hairline shows around its colour."""
    name = escape(drawn.region.text or drawn.region.label, quote=True)
    tag, where = outline(drawn.region, size)
    key = escape(drawn.key, quote=True)
    return (
        f'<g class="region {drawn.region.kind}" data-r="{key}" style="--c:{drawn.colour}" '
        f'tabindex="0" role="img" aria-label="{name}"><title>{name}</title>{_filled(drawn, size)}'
        f'<{tag} class="halo" {where}/><{tag} class="line" {where}/></g>'
    )


def outline(region: Region, size: tuple[int, int]) -> tuple[str, str]:
    """The SVG element of a region and where it lies, in the picture's pixels."""
    width, height = size
    match region.shape:
        case Point(x, y):  # a line of no length: its round cap has the same size at any zoom
            return "path", f'd="M{x * width:.2f} {y * height:.2f}h0.01"'
        case Polygon(points):
            corners = " ".join(f"{point.x * width:.2f},{point.y * height:.2f}" for point in points)
            return "polygon", f'points="{corners}"'
        case shape:
            box = bounds(shape)
            return "rect", (
                f'x="{box.x0 * width:.2f}" y="{box.y0 * height:.2f}" '
                f'width="{(box.x1 - box.x0) * width:.2f}" height="{(box.y1 - box.y0) * height:.2f}" rx="2"'
            )


def _filled(drawn: Drawn, size: tuple[int, int]) -> str:
    """The bits of a mask as a picture in its colour; nothing for other shapes."""
    mask = drawn.region.shape
    if not isinstance(mask, Mask):
        return ""
    alpha = Image.frombytes("L", mask.size, bytes(110 * (bit > 0) for bit in mask.bits))
    layer = Image.new("RGBA", mask.size, drawn.colour)
    layer.putalpha(alpha)
    file = io.BytesIO()
    layer.save(file, "PNG")
    _, where = outline(Region("", mask.box), size)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<image {where} preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'


# --- labels -----------------------------------------------------------------------------


def _labels(drawn: Sequence[Drawn], shown: tuple[int, int]) -> list[str]:
    """A label beside each region, where it covers neither a region nor another label."""
    regions = [_on_page(bounds(each.region.shape), shown) for each in drawn]
    taken: list[Rectangle] = []
    labels = []
    for each, region in zip(drawn, regions, strict=True):
        text = each.region.text or each.region.label
        if text:
            others = [other for other in regions if other != region]
            side, place = _place(region, len(text), shown, taken, others)
            taken.append(place)
            labels.append(_label(each, text, side, _anchor(side, region, place, shown)))
    return labels


Rectangle = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the page


def _on_page(box: Box, shown: tuple[int, int]) -> Rectangle:
    return box.x0 * shown[0], box.y0 * shown[1], box.x1 * shown[0], box.y1 * shown[1]


def _place(
    region: Rectangle, letters: int, shown: tuple[int, int], taken: list[Rectangle], others: list[Rectangle]
) -> tuple[str, Rectangle]:
    """The first free side of: above, below, right, left; inside where none is free."""
    width, height = min(letters, 28) * LETTER_WIDTH + 14, LABEL_HEIGHT
    x0, y0, x1, y1 = region
    left = x0 if x0 + width <= shown[0] else max(x1 - width, 0)
    corners = {
        "above": (left, y0 - height - 3),
        "below": (left, y1 + 3),
        "right": (x1 + 4, y0),
        "left": (x0 - width - 4, y0),
        "within": (left, y0 + 2),
    }
    places = {side: (x, y, x + width, y + height) for side, (x, y) in corners.items()}
    for avoided in ([*taken, *others], taken):
        for side, place in places.items():
            if (
                side != "within"
                and _inside(place, shown)
                and not any(_touch(place, each) for each in avoided)
            ):
                return side, place
    return "within", places["within"]


def _inside(place: Rectangle, shown: tuple[int, int]) -> bool:
    return place[0] >= 0 and place[1] >= 0 and place[2] <= shown[0] and place[3] <= shown[1]


def _touch(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _anchor(side: str, region: Rectangle, place: Rectangle, shown: tuple[int, int]) -> str:
    """Where a label hangs on its region, in percent: right also where the picture is shown smaller."""
    x0, y0, x1, y1 = region
    top = 100 * (y1 if side == "below" else y0) / shown[1]
    if side == "right":
        return f"left:{100 * x1 / shown[0]:.2f}%;top:{top:.2f}%"
    if side == "left" or place[0] < x0 - 0.01:
        edge = x0 if side == "left" else min(max(x1, place[2]), shown[0])
        return f"right:{100 - 100 * edge / shown[0]:.2f}%;top:{top:.2f}%"
    return f"left:{100 * x0 / shown[0]:.2f}%;top:{top:.2f}%"


def _label(drawn: Drawn, text: str, side: str, anchor: str) -> str:
    return (
        f'<span class="tag {side}" data-r="{escape(drawn.key, quote=True)}" aria-hidden="true" '
        f'style="--c:{drawn.colour};color:{ink(drawn.colour)};{anchor}">{escape(text)}</span>'
    )
