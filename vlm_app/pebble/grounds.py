"""Grounds of the toy world: plain, graded and textured."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]


def _plain(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Image.Image:
    return Image.new("RGB", size, colour)


def _graded(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Image.Image:
    """From the colour to a nearby one, along one of four directions."""
    other = np.clip(np.array(colour) + rng.integers(-45, 46, 3), 0, 255)
    ramp = Image.linear_gradient("L").rotate(float(rng.choice([0, 90, 180, 270]))).resize(size)
    return Image.composite(
        Image.new("RGB", size, tuple(int(v) for v in other)), Image.new("RGB", size, colour), ramp
    )


def _noisy(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Image.Image:
    """Soft blotches: noise on a coarse grid, blown up."""
    grid = int(rng.integers(4, 60))
    noise = rng.normal(0, rng.uniform(3, 12), (grid, grid, 1)) + rng.normal(0, 3, (grid, grid, 3))
    tile = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(tile).resize(size, Image.Resampling.BILINEAR)


def _striped(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Image.Image:
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    shift = int(rng.choice([-1, 1]) * rng.integers(8, 22))
    second = tuple(int(np.clip(v + shift, 0, 255)) for v in colour)
    step, lean = int(rng.integers(8, 40)), int(rng.integers(-30, 31))
    width, height = size
    if rng.random() < 0.5:
        for x in range(-40, width + 40, 2 * step):
            draw.line([(x, 0), (x + lean, height)], fill=second, width=step)
    else:
        for y in range(-40, height + 40, 2 * step):
            draw.line([(0, y), (width, y + lean)], fill=second, width=step)
    return image


def _checked(rng: np.random.Generator, size: tuple[int, int], colour: Colour) -> Image.Image:
    cells = rng.integers(4, 14, 2)
    shift = int(rng.choice([-1, 1]) * rng.integers(5, 16))
    board = (np.indices(tuple(cells)).sum(axis=0) % 2)[..., None] * shift
    tile = np.clip(np.array(colour) + board, 0, 255).astype(np.uint8)
    return Image.fromarray(tile).resize(size, Image.Resampling.NEAREST)


_KINDS = (_plain, _graded, _noisy, _striped, _checked)
_SHARES = (0.4, 0.2, 0.2, 0.1, 0.1)


def draw_ground(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image.Image, Colour]:
    """A ground of `size` (width, height) and its main colour: muted, of any lightness."""
    lightness = rng.choice(
        [rng.uniform(205, 255), rng.uniform(90, 205), rng.uniform(25, 90)], p=[0.6, 0.28, 0.12]
    )
    tint = rng.normal(0, 14, 3)
    red, green, blue = (int(v) for v in np.clip(lightness + tint - tint.mean(), 0, 255))
    kind = _KINDS[rng.choice(len(_KINDS), p=_SHARES)]
    return kind(rng, size, (red, green, blue)), (red, green, blue)
