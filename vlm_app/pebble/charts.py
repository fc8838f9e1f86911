"""Bar charts of the toy world: two to five bars with labels, a scale, at times a title."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vlm_app.pebble.signs import letter_boxes, some_font
from vlm_app.pebble.words import BAR_LABELS, COLOURS

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Bar:
    """A bar: its label, colour, value on the axis, and box in 0..1."""

    label: str
    colour: str
    value: int
    box: Box


@dataclass(frozen=True)
class Chart:
    """A bar chart, bars from left to right, on an axis from 0 to `top`."""

    bars: tuple[Bar, ...]
    top: int
    letters: tuple[tuple[str, Box], ...] = field(repr=False, default=())


def draw_chart(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image.Image, Chart]:
    """A chart of `size` (width, height) on a light ground."""
    width, height = size
    paper = tuple(int(v) for v in rng.integers(225, 256, 3))
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    count, top = int(rng.integers(2, 6)), int(rng.choice([10, 20, 50, 100]))
    face = some_font(rng, max(11, int(min(height * 0.065, width / count * 0.28))))
    left, base, ceiling = (
        max(int(width * 0.13), int(face.getlength(str(top))) + 12),
        int(height * 0.86),
        int(height * 0.1),
    )
    letters = _axis(draw, face, (left, base, ceiling, width), top, size)
    one_colour = str(rng.choice(list(COLOURS)[:8]))
    colours = (
        [one_colour] * count if rng.random() < 0.3 else [str(c) for c in rng.permutation(list(COLOURS)[:9])]
    )
    step = (width * 0.96 - left) / count
    bars = []
    for index, label in enumerate(str(s) for s in rng.choice(BAR_LABELS, count, replace=False)):
        value = int(rng.integers(max(1, top // 20), top + 1))
        x0, x1 = left + step * (index + 0.2), left + step * (index + 0.85)
        y0 = base - (base - ceiling) * value / top
        draw.rectangle((x0, y0, x1, base), fill=COLOURS[colours[index]])
        origin = ((x0 + x1) / 2 - face.getlength(label) / 2, base + height * 0.02)
        draw.text(origin, label, font=face, fill=(25, 25, 25))
        letters += letter_boxes(label, face, origin, size)
        bars.append(Bar(label, colours[index], value, (x0 / width, y0 / height, x1 / width, base / height)))
    return image, Chart(tuple(bars), top, letters)


def _axis(
    draw: ImageDraw.ImageDraw,
    face: ImageFont.FreeTypeFont,
    frame: tuple[int, int, int, int],
    top: int,
    size: tuple[int, int],
) -> tuple[tuple[str, Box], ...]:
    """The axis with ticks at 0, a half and the whole of `top`; returns the printed letters."""
    left, base, ceiling, width = frame
    draw.line([(left, ceiling - 4), (left, base), (width * 0.97, base)], fill=(40, 40, 40), width=2)
    letters: tuple[tuple[str, Box], ...] = ()
    for share in (0.0, 0.5, 1.0):
        y, text = base - (base - ceiling) * share, str(int(top * share))
        draw.line([(left, y), (width * 0.97, y)], fill=(170, 170, 170), width=1)
        origin = (left - 6 - face.getlength(text), y - face.size * 0.6)
        draw.text(origin, text, font=face, fill=(25, 25, 25))
        letters += letter_boxes(text, face, origin, size)
    return letters
