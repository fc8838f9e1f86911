"""The toy world: scenes of coloured shapes, printed signs and bar charts, with their truth.

`draw_scene(seed)` is all that others need. Truth comes from the drawing: boxes are
(x0, y0, x1, y1) in 0..1 of the image, around the whole thing even where it is lightly
covered by another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from vlm_app.pebble.charts import Chart, draw_chart
from vlm_app.pebble.grounds import Colour, draw_ground
from vlm_app.pebble.odds import WORLD, Odds
from vlm_app.pebble.shapes import SHAPES, hole, outline
from vlm_app.pebble.signs import Box, Sign, draw_page, draw_sign
from vlm_app.pebble.words import COLOURS

KINDS = ("shapes", "signs", "chart", "page")
MOST_SIGNS = 3
_SUPERSAMPLE = 3


@dataclass(frozen=True)
class Thing:
    """A coloured shape: its box in 0..1, and its size as a share of the image's shorter side."""

    shape: str
    colour: str
    box: Box
    extent: float
    silhouette: np.ndarray = field(repr=False, compare=False)  # (points, 2) in 0..1

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def centre(self) -> tuple[float, float]:
        return ((self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2)

    @property
    def size_word(self) -> str:
        """small below 0.15 of the shorter side, large above 0.26, else medium."""
        return "small" if self.extent < 0.15 else "large" if self.extent > 0.26 else "medium"


@dataclass(frozen=True)
class Scene:
    """A drawn image and everything that is true of it. Things are sorted left to right."""

    image: Image.Image = field(repr=False)
    things: tuple[Thing, ...] = ()
    signs: tuple[Sign, ...] = ()
    chart: Chart | None = None

    @property
    def kind(self) -> str:
        if self.chart:
            return "chart"
        return "page" if len(self.signs) > MOST_SIGNS else "signs" if self.signs else "shapes"


def draw_scene(
    seed: int | np.random.Generator,
    *,
    kind: str | None = None,
    size: tuple[int, int] | None = None,
    extents: tuple[float, float] = (0.11, 0.38),
    most: int = 8,
    odds: Odds = WORLD,
) -> Scene:
    """Draw the scene of `seed`: the same seed and options give the same pixels and truth.

    `kind` is one of `KINDS` (otherwise drawn by lot), `size` (width, height) in pixels,
    `extents` the range of a shape's size as a share of the shorter side, `most` the
    largest number of shapes, `odds` how likely what is.
    """
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    kind = kind or str(rng.choice(KINDS, p=odds.kinds))
    size = size or _some_size(rng)
    if kind == "chart":
        image, chart = draw_chart(rng, size)
        return Scene(image=image, chart=chart)
    image, ground = draw_ground(rng, size)
    if kind == "page":
        return Scene(image=image, signs=draw_page(rng, image, odds))
    signs = _place_signs(rng, image, odds) if kind == "signs" else ()
    count = int(rng.integers(0, 4)) if signs else int(rng.integers(min(odds.least, most), most + 1))
    things = _place_things(rng, image, ground, count, extents, [sign.box for sign in signs], odds)
    return Scene(image=image, things=tuple(sorted(things, key=lambda t: t.centre)), signs=signs)


def _some_size(rng: np.random.Generator) -> tuple[int, int]:
    """A long side of 256 to 512 pixels, an aspect ratio of 1:2 to 2:1, a third of them square."""
    longer = int(rng.integers(256, 513))
    if rng.random() < 0.33:
        return (longer, longer)
    shorter = int(longer * rng.uniform(0.5, 1.0))
    return (longer, shorter) if rng.random() < 0.6 else (shorter, longer)


def _place_signs(rng: np.random.Generator, image: Image.Image, odds: Odds) -> tuple[Sign, ...]:
    signs: list[Sign] = []
    for _ in range(int(rng.choice([1, 2, 3], p=odds.signs))):
        sign = draw_sign(rng, image, [sign.box for sign in signs], odds)
        if sign is not None:
            signs.append(sign)
    return tuple(sorted(signs, key=lambda s: (s.box[1], s.box[0])))


def _place_things(
    rng: np.random.Generator,
    image: Image.Image,
    ground: Colour,
    count: int,
    extents: tuple[float, float],
    taken: list[Box],
    odds: Odds,
) -> list[Thing]:
    """Up to `count` things, at times of two kinds at most."""
    visible = [name for name, rgb in COLOURS.items() if _distance(rgb, ground) > 100]
    pairs = [(str(rng.choice(SHAPES)), str(rng.choice(visible))) for _ in range(count)]
    if rng.random() < odds.alike:
        pairs = [pairs[int(rng.integers(0, min(2, count)))] for _ in pairs] if pairs else []
    things: list[Thing] = []
    for shape, colour in pairs:
        thing = _fit(rng, image.size, shape, colour, extents, [t.box for t in things], taken)
        if thing is not None:
            _paint(rng, image, thing, ground)
            things.append(thing)
    return things


def _distance(one: Colour, other: Colour) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))


def _fit(
    rng: np.random.Generator,
    size: tuple[int, int],
    shape: str,
    colour: str,
    extents: tuple[float, float],
    others: list[Box],
    forbidden: list[Box],
) -> Thing | None:
    """Try places until one overlaps the others only lightly and signs not at all."""
    width, height = size
    for _ in range(12):
        extent = float(np.exp(rng.uniform(np.log(extents[0]), np.log(extents[1]))))
        turn = rng.uniform(-0.2, 0.2) if shape in ("square", "diamond", "cross") else rng.uniform(-0.45, 0.45)
        points = outline(shape, turn) * (extent * min(size) / 2) * rng.uniform(0.93, 1.07, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        room = np.array([width, height]) - (high - low) - 2
        if (room <= 1).any():
            continue
        points = points - low + 1 + rng.uniform(0, 1, 2) * room
        scaled = points / [width, height]
        (x0, y0), (x1, y1) = scaled.min(axis=0), scaled.max(axis=0)
        box = (float(x0), float(y0), float(x1), float(y1))
        if any(_covered(box, other) > 0.12 for other in others) or any(
            _covered(box, f) > 0 for f in forbidden
        ):
            continue
        return Thing(shape, colour, box, extent, scaled)
    return None


def _covered(one: Box, other: Box) -> float:
    """Their overlap as a share of the smaller one."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return width * height / min(areas)


def _paint(rng: np.random.Generator, image: Image.Image, thing: Thing, ground: Colour) -> None:
    """Fill the silhouette in a shade of its colour, at times with an outline; edges are smooth."""
    points = thing.silhouette * image.size
    low = np.floor(points.min(axis=0)).astype(int) - 2
    span = np.ceil(points.max(axis=0)).astype(int) + 2 - low
    scale = _SUPERSAMPLE if rng.random() < 0.85 else 1
    width, height = (int(v) for v in span)
    mask = Image.new("L", (width * scale, height * scale), 0)
    draw = ImageDraw.Draw(mask)
    draw.polygon([tuple(p) for p in (points - low) * scale], fill=255)
    inner = hole(thing.shape)
    if inner is not None:
        middle, half = (
            (points.max(axis=0) + points.min(axis=0)) / 2,
            (points.max(axis=0) - points.min(axis=0)) / 2,
        )
        draw.polygon([tuple(p) for p in (middle + inner * half - low) * scale], fill=0)
    mask = mask.resize((width, height), Image.Resampling.BOX)
    shade = np.clip(np.array(COLOURS[thing.colour]) + rng.normal(0, 9, 3) + rng.normal(0, 6), 0, 255)
    image.paste(tuple(int(v) for v in shade), (int(low[0]), int(low[1])), mask)
    if inner is None and rng.random() < 0.25:
        edge = (15, 15, 15) if sum(ground) > 240 else (240, 240, 240)
        corners = [tuple(p) for p in points]
        ImageDraw.Draw(image).line(
            [*corners, corners[0]], fill=edge, width=int(rng.integers(1, 4)), joint="curve"
        )
