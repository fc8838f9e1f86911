"""Scenes that are not the toy world's: matplotlib's own markers in CSS colours on plain ground.

Nothing of the world's drawing is used: outlines, proportions, shades, sizes, strokes and fonts are
matplotlib's. What Pebble finds here it has learned of shapes, not of this project's polygons.
"""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Annulus, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, IdentityTransform
from PIL import Image

from vlm_app.pebble.scores import iou
from vlm_app.pebble.world import Scene, Thing

Rng = np.random.Generator

MARKERS = {
    "circle": "o", "square": "s", "triangle": "^", "star": "*", "hexagon": "h", "diamond": "D", "cross": "P",
}  # fmt: skip
SHADES = {
    "red": ("red", "crimson", "firebrick"),
    "orange": ("orange", "darkorange"),
    "yellow": ("yellow", "gold"),
    "green": ("green", "forestgreen", "limegreen", "seagreen"),
    "blue": ("blue", "royalblue", "mediumblue", "dodgerblue"),
    "purple": ("purple", "indigo", "darkviolet", "rebeccapurple"),
    "pink": ("pink", "hotpink", "lightpink"),
    "brown": ("saddlebrown", "sienna"),
    "black": ("black",),
    "white": ("white",),
}
GROUNDS = (
    "white", "white", "whitesmoke", "lightgray", "beige", "ivory", "aliceblue", "lavender", "darkslategray",
    "dimgray", "black",
)  # fmt: skip
_FONTS = ("cmr10", "cmss10", "cmtt10")  # none of them is printed in the toy world


def foreign_scene(rng: Rng) -> Scene:
    """One to six markers of 9 to 42 % of the shorter side, apart from each other; at times with a word."""
    width, height = (int(side) for side in rng.integers(200, 700, 2))
    ground = str(rng.choice(GROUNDS))
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor=ground)
    things: list[Thing] = []
    for _ in range(int(rng.integers(1, 7))):
        thing = _draw(rng, figure, ground, things)
        if thing is not None:
            things.append(thing)
    if rng.random() < 0.2:
        _print(rng, figure, ground, things)
    return Scene(_rendered(figure), tuple(sorted(things, key=lambda thing: thing.centre)))


def _draw(rng: Rng, figure: Figure, ground: str, others: list[Thing]) -> Thing | None:
    """A thing where no other is; None where ten tries found no room."""
    shape = str(rng.choice([*MARKERS, "ring"]))
    colour = str(rng.choice([name for name in SHADES if _far(SHADES[name], ground)]))
    width, height = figure.bbox.size
    for _ in range(10):
        extent = float(np.exp(rng.uniform(np.log(0.09), np.log(0.42))))
        side = extent * min(width, height)
        place = Affine2D().scale(side).translate(*rng.uniform(side, (width - side, height - side)))
        path = place.transform_path(_outline(shape, rng))
        (x0, y0), (x1, y1) = path.get_extents().get_points()
        box = (x0 / width, 1 - y1 / height, x1 / width, 1 - y0 / height)
        if any(iou(box, other.box) > 0 for other in others):
            continue
        stroke = float(rng.choice([0, 0, rng.uniform(0.5, 2.5)]))
        figure.add_artist(
            PathPatch(
                path,
                facecolor=str(rng.choice(SHADES[colour])),
                edgecolor=str(rng.choice(["black", "gray", "white"])),
                linewidth=stroke,
                antialiased=bool(rng.random() < 0.8),
                transform=IdentityTransform(),
            )
        )
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) / (width, height)
        return Thing(shape, colour, box, extent, corners)
    return None


def _outline(shape: str, rng: Rng) -> Path:
    """Centred, with a longer side of 1; turned a little, most of the time."""
    if shape == "ring":
        whole = Annulus((0, 0), 0.5, float(rng.uniform(0.14, 0.26)))
        path = whole.get_transform().transform_path(whole.get_path())
    else:
        marker = MarkerStyle(MARKERS[shape])
        path = marker.get_transform().transform_path(marker.get_path())
    turn = 0.0 if shape in ("square", "diamond") or rng.random() < 0.4 else float(rng.uniform(-15, 15))
    path = Affine2D().rotate_deg(turn).transform_path(path)
    extents = path.get_extents()
    middle = (extents.x0 + extents.x1) / 2, (extents.y0 + extents.y1) / 2
    return Affine2D().translate(-middle[0], -middle[1]).scale(1 / max(extents.size)).transform_path(path)


def _print(rng: Rng, figure: Figure, ground: str, things: list[Thing]) -> None:
    """A word of matplotlib's old fonts at the lower edge, where nothing else is."""
    if any(thing.box[3] > 0.9 for thing in things):
        return
    ink = "white" if sum(to_rgb(ground)) < 1.5 else "black"
    figure.text(0.5, 0.03, "marker", family=str(rng.choice(_FONTS)), size=11, color=ink, ha="center")


def _far(shades: tuple[str, ...], ground: str) -> bool:
    return all(np.linalg.norm(np.subtract(to_rgb(shade), to_rgb(ground))) > 0.4 for shade in shades)


def _rendered(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
