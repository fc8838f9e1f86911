"""Printed text of the toy world: signs of a word or two, on a plate or bare, and whole pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vlm_app.pebble.odds import Odds
from vlm_app.pebble.words import DIGITS, LETTERS, SIGN_WORDS

Box = tuple[float, float, float, float]

_FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSansMono-Bold.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
)


@dataclass(frozen=True)
class Sign:
    """A printed line: its text, the box around the ink in 0..1, and each letter with its box."""

    text: str
    box: Box
    letters: tuple[tuple[str, Box], ...] = field(repr=False, default=())


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """One of the fonts that matplotlib ships, at `size` pixels."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def some_font(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
    return font(str(rng.choice(_FONTS)), size)


def _some_text(rng: np.random.Generator, odds: Odds) -> str:
    """A word in capitals (mostly), two words, a number, or letters that spell nothing."""
    lot = rng.random()
    if lot < odds.letters:
        return "".join(rng.choice(list(LETTERS), int(rng.integers(1, 6))))
    if lot < odds.letters + odds.numbers:
        return "".join(rng.choice(list(DIGITS), int(rng.integers(1, 5))))
    text = " ".join(rng.choice(SIGN_WORDS, 2 if lot > 0.92 else 1))
    return text if rng.random() < 0.7 else text.capitalize() if rng.random() < 0.5 else text.lower()


def letter_boxes(
    text: str, face: ImageFont.FreeTypeFont, origin: tuple[float, float], size: tuple[int, int]
) -> tuple[tuple[str, Box], ...]:
    """Each letter of `text`, printed at `origin` (left, top of the line), with its box in 0..1."""
    width, height = size
    _, top, _, bottom = face.getbbox(text)
    boxes = []
    for index, letter in enumerate(text):
        left, right = face.getlength(text[:index]), face.getlength(text[: index + 1])
        box = (origin[0] + left, origin[1] + top, origin[0] + right, origin[1] + bottom)
        boxes.append((letter, (box[0] / width, box[1] / height, box[2] / width, box[3] / height)))
    return tuple(boxes)


def smallest_print(size: tuple[int, int]) -> float:
    """The least font size, in pixels, at which a letter is about half a patch wide on an image of `size`."""
    width, height = size
    return max(height * 0.07, width * 0.052, 13)


def draw_page(rng: np.random.Generator, image: Image.Image, odds: Odds) -> tuple[Sign, ...]:
    """Fill `image` with lines of one font from the top down: many letters at once to learn from."""
    width, height = image.size
    face = some_font(rng, int(smallest_print(image.size) * rng.uniform(1.0, 1.7)))
    dark = _luminance(np.array(image.getpixel((width // 2, height // 2)), dtype=float)) < 125
    ink = tuple(int(v) for v in rng.integers(165, 256, 3) - (0 if dark else 165))
    margin, y = width * rng.uniform(0.02, 0.12), height * rng.uniform(0.02, 0.12)
    lines: list[Sign] = []
    while True:
        text = _some_text(rng, odds)
        while face.getlength(longer := f"{text} {_some_text(rng, odds)}") < width - 2 * margin:
            text = longer
        left, top, right, bottom = face.getbbox(text)
        if y + bottom - top > height * 0.98:
            return tuple(lines)
        if margin + right - left < width:
            origin = (margin - left, y - top)
            ImageDraw.Draw(image).text(origin, text, font=face, fill=ink)
            box = (margin / width, y / height, (margin + right - left) / width, (y + bottom - top) / height)
            lines.append(Sign(text, box, letter_boxes(text, face, origin, image.size)))
        y += (bottom - top) * rng.uniform(1.15, 1.6)


def draw_sign(rng: np.random.Generator, image: Image.Image, taken: list[Box], odds: Odds) -> Sign | None:
    """Print a sign on `image` where nothing of `taken` is; None where there is no room."""
    width, height = image.size
    text = _some_text(rng, odds)
    size = int(smallest_print(image.size) * rng.uniform(1.0, odds.largest))
    face = some_font(rng, size)
    left, top, right, bottom = face.getbbox(text)
    pad = max(3, int(size * rng.uniform(0.15, 0.5)))
    plate_size = (right - left + 2 * pad, bottom - top + 2 * pad)
    if plate_size[0] >= width or plate_size[1] >= height:
        return None
    for _ in range(10):
        x, y = rng.uniform(0, width - plate_size[0]), rng.uniform(0, height - plate_size[1])
        plate = (x, y, x + plate_size[0], y + plate_size[1])
        scaled = (plate[0] / width, plate[1] / height, plate[2] / width, plate[3] / height)
        if all(scaled[2] < t[0] or scaled[0] > t[2] or scaled[3] < t[1] or scaled[1] > t[3] for t in taken):
            break
    else:
        return None
    _print(rng, image, text, face, plate, (x + pad - left, y + pad - top))
    ink = (x + pad, y + pad, x + pad + right - left, y + pad + bottom - top)
    box = (ink[0] / width, ink[1] / height, ink[2] / width, ink[3] / height)
    return Sign(text, box, letter_boxes(text, face, (x + pad - left, y + pad - top), image.size))


def _print(
    rng: np.random.Generator,
    image: Image.Image,
    text: str,
    face: ImageFont.FreeTypeFont,
    plate: Box,
    origin: tuple[float, float],
) -> None:
    """A plate (four of five times) of any colour, and ink that stands out on what is below."""
    draw = ImageDraw.Draw(image)
    below = np.array(
        image.getpixel((int((plate[0] + plate[2]) / 2), int((plate[1] + plate[3]) / 2))), dtype=float
    )
    if rng.random() < 0.8:
        below = (
            rng.integers(0, 256, 3).astype(float)
            if rng.random() < 0.5
            else np.full(3, rng.choice([250.0, 25.0]))
        )
        edge = tuple(int(v) for v in rng.integers(0, 256, 3)) if rng.random() < 0.4 else None
        radius = float(rng.uniform(0, 0.3) * (plate[3] - plate[1]))
        draw.rounded_rectangle(plate, radius, fill=tuple(int(v) for v in below), outline=edge, width=2)
    ink = rng.integers(0, 256, 3).astype(float)
    if abs(_luminance(ink) - _luminance(below)) < 110:
        ink = np.full(3, 10.0 if _luminance(below) > 125 else 248.0)
    draw.text(origin, text, font=face, fill=tuple(int(v) for v in ink))


def _luminance(colour: np.ndarray) -> float:
    return float(colour @ [0.299, 0.587, 0.114])
