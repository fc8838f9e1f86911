"""Bytes to upright RGB pixels, with Pillow alone.

This runs in the worker process: a decoder that loops, crashes or eats memory on a
hostile file takes that process with it, not the app.
"""

from __future__ import annotations

import math
import struct
from io import BytesIO
from typing import Any

from PIL import Image, UnidentifiedImageError

from vlm_app.media import names

# Formats that are read. Others have had bombs (FITS, EPS, JPEG 2000) or need a library.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
WIDEST = 100  # one side against the other; models resize to squares of 14 to 32 pixels
MOST_SCANS = 100  # of a progressive JPEG: encoders write about ten, bombs repeat thousands

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unreadable(Exception):
    """A file cannot be shown. Holds the sentence without its subject ('is cut off: …')."""


def work(arguments: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """The worker's job `image`: `max_pixels` in; `size` and `note` out, with RGB bytes."""
    image, note = decode(data, int(arguments["max_pixels"]))
    return {"size": image.size, "note": note}, image.tobytes()


def decode(data: bytes, max_pixels: int) -> tuple[Image.Image, str]:
    """Open one file.

    Args:
        data: the whole file.
        max_pixels: the most pixels; more is refused from the header, before decoding.

    Returns:
        The image, upright, mode RGB, and a note ('first of 12 frames') or an empty string.

    Raises:
        Unreadable: with what is wrong and what to do.
    """
    image = _open(data)
    _check(image.size, data, max_pixels)
    try:
        note = _note(image)  # before the pixels: Pillow looks through a TIFF's pages, and would turn it again
        image.load()
    except (EOFError, OSError) as error:
        # Pillow's decoders say 'truncated' where the data end before the picture does.
        if isinstance(error, EOFError) or "truncated" in str(error):
            raise Unreadable(
                "is cut off: the file ends before the picture does; copy or download it again."
            ) from error
        raise
    return flatten(_upright(image)), note


def _open(data: bytes) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # our own cap is stricter, and has a sentence
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if names.format_of(data):
            raise  # an allowed format that is broken: damaged, not foreign
        raise Unreadable(
            "is not an image that can be opened: expected PNG, JPEG, WebP, GIF, BMP or TIFF, "
            f"found {names.kind_of(data)}."
        ) from error


def _check(size: tuple[int, int], data: bytes, max_pixels: int) -> None:
    """Refuse what the header already shows to be too much, before a pixel is decoded."""
    width, height = size
    if width * height > max_pixels:
        raise Unreadable(
            f"is {width:,} × {height:,} pixels, more than the {max_pixels / 1e6:,.3g} million "
            "that are opened here: make it smaller first."
        )
    if max(size) > WIDEST * min(size):
        raise Unreadable(
            f"is {width:,} × {height:,} pixels, too narrow for a model to see anything: "
            f"crop it until one side is at most {WIDEST} times the other."
        )
    # Inside compressed data an FF is always followed by 00 or a restart mark, so this
    # counts scans. Each costs a pass over the whole picture.
    if data.startswith(b"\xff\xd8") and (scans := data.count(b"\xff\xda")) > MOST_SCANS:
        raise Unreadable(
            f"is a JPEG with {scans:,} scans, where at most {MOST_SCANS} are read: "
            "save it again as PNG or JPEG."
        )


def _note(image: Image.Image) -> str:
    # Not MPO: a phone's JPEG with a second frame for depth or brightness is one picture.
    frames = getattr(image, "n_frames", 1) if image.format in ("GIF", "PNG", "WEBP", "TIFF") else 1
    thing = "pages" if image.format == "TIFF" else "frames"
    return f"first of {frames:,} {thing}" if frames > 1 else ""


def _upright(image: Image.Image) -> Image.Image:
    # Pillow has turned a TIFF already, and dropped its tag.
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except (SyntaxError, ValueError, struct.error):  # the metadata are rubbish, the pixels are sound
        turn = None
    return image if turn is None else _with_info(image.transpose(turn), image)


def _with_info(image: Image.Image, origin: Image.Image) -> Image.Image:
    """Keep the transparent colour, which lies in `info`, across a step that drops it."""
    if "transparency" in origin.info:
        image.info["transparency"] = origin.info["transparency"]
    return image


def flatten(image: Image.Image) -> Image.Image:
    """What a person sees of an image of any mode: RGB, transparent parts on white.

    16-bit greys are scaled (65,535 is white), wider numbers are stretched from their
    smallest to their largest.
    """
    if image.mode.startswith("I;16"):
        image = _grey_16(image)
    elif image.mode in ("I", "F"):
        image = _grey_wide(image)
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode[:-1] + "A")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _grey_16(image: Image.Image) -> Image.Image:
    # Pillow's own conversion clips at 255 instead of scaling.
    wide, clear = image.convert("I"), image.info.get("transparency")
    grey = wide.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    if not isinstance(clear, int):
        return grey
    table = [0 if value == clear else 255 for value in range(1 << 16)]
    grey.putalpha(wide.point(table, "L"))
    return grey


def _grey_wide(image: Image.Image) -> Image.Image:
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Unreadable("holds values that are not numbers: save it as an 8-bit or 16-bit image.")
    if image.mode == "F" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    elif low >= 0.0 and high <= 65535.0:
        low, high = 0.0, 65535.0
    scale = 255.0 / ((high - low) or 1.0)
    return image.convert("F").point(lambda value: value * scale + (0.5 - low * scale)).convert("L")
