"""Images: from a file to a `Picture`, and from a `Picture` to bytes for a page."""

from __future__ import annotations

import hashlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from vlm_app.errors import BadInput
from vlm_app.media.decode import flatten
from vlm_app.media.names import subject, why_unread
from vlm_app.media.pool import Job, Pool, Reply
from vlm_app.types import Picture

if TYPE_CHECKING:
    from vlm_app.limits import Limits
    from vlm_app.settings import Settings

THUMBNAIL_TYPE = "image/webp"  # the media type of what `thumbnail` returns


def open_image(
    source: bytes | Path, *, name: str = "", max_bytes: int | None = None, limits: Limits | None = None
) -> Picture:
    """Open an uploaded image in a worker process, within the limits of the settings.

    Args:
        source: the file's bytes, or where it lies. PNG, JPEG, WebP, GIF, BMP or TIFF;
            what it holds counts, not how it is called.
        name: how the user knows it; by default the path's last part.
        max_bytes: the largest file, where it is not the one of the settings.
        limits: of whoever opens it, where they are narrower than the settings.

    Returns:
        Upright RGB pixels: turned by EXIF, transparent parts on white, 16 bits scaled
        to 8. Of an animation the first frame, which `note` then says.

    Raises:
        BadInput: one sentence that names the file and says what to do.
    """
    settings = _settings()
    name = name or (source.name if isinstance(source, Path) else "")
    data = _read(source, name, max_bytes or (limits.bytes if limits else settings.max_bytes))
    arguments = {"max_pixels": limits.pixels if limits else settings.max_pixels}
    most = 3 * settings.max_pixels
    advice, cpu = "save it again as PNG or JPEG", settings.image_seconds
    job = Job("image", arguments, data, settings.decode_seconds, most, advice, cpu)
    reply = _pool().run(job)
    if reply.problem:
        raise BadInput(f"{subject(name)} {reply.problem}")
    return picture_of(reply)


def picture_of(reply: Reply) -> Picture:
    """The picture in a worker's reply, which holds `size`, `note` and RGB bytes."""
    width, height = reply.values["size"]
    image = Image.frombytes("RGB", (width, height), reply.pixels)
    return Picture(image, _sha256((width, height), reply.pixels), reply.values["note"])


def picture_from(image: Image.Image) -> Picture:
    """A `Picture` of an image that the app itself has drawn, of any mode; a copy."""
    pixels = _bare(image)
    return Picture(pixels, _sha256(pixels.size, pixels.tobytes()))


def png_bytes(image: Image.Image) -> bytes:
    """An image as an RGB PNG file, without any metadata."""
    file = BytesIO()
    # Level 3 takes a third of the time of the default and gives files a few per cent larger.
    _bare(image).save(file, "PNG", compress_level=3)
    return file.getvalue()


def thumbnail(picture: Picture, side: int) -> bytes:
    """A small copy, its longer side at most `side` pixels, as a WebP file without metadata.

    A picture that is smaller already keeps its size.
    """
    if side < 1:
        raise BadInput(f"A thumbnail is at least 1 pixel wide, found {side}: ask for a larger one.")
    small = _bare(picture.pixels)
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = BytesIO()
    small.save(file, "WEBP", quality=85)
    return file.getvalue()


def _bare(image: Image.Image) -> Image.Image:
    """A copy in RGB with an empty `info`: encoders write profiles and EXIF from there."""
    flat = flatten(image)
    bare = flat.copy() if flat is image else flat
    bare.info.clear()
    return bare


def _sha256(size: tuple[int, int], pixels: bytes) -> str:
    digest = hashlib.sha256(f"{size[0]}x{size[1]}\n".encode())
    digest.update(pixels)
    return digest.hexdigest()


def _read(source: bytes | Path, name: str, max_bytes: int) -> bytes:
    """The file's bytes, never more than the limit, or one sentence."""
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                source = file.read(max_bytes + 1)
        except OSError as error:
            raise BadInput(f"{subject(name)} {why_unread(error)}") from error
        except ValueError as error:  # a path with a NUL
            raise BadInput(f"{subject(name)} is not the name of a file: choose an image file.") from error
    if not source:
        raise BadInput(f"{subject(name)} is empty (0 bytes): choose an image file.")
    if len(source) > max_bytes:
        raise BadInput(
            f"{subject(name)} is larger than the {max_bytes / 1e6:,.3g} MB that are opened here: "
            "make it smaller first."
        )
    return source


def _settings() -> Settings:
    # Imported late: the decode worker imports this package too, and pydantic is slow to start.
    from vlm_app.settings import settings

    return settings()


@cache
def _pool() -> Pool:
    return Pool(decode_memory())


def decode_memory() -> int:
    """The most bytes that a decode worker may take."""
    # 20 bytes a pixel hold a decoder's buffers, the image and its copies in other modes;
    # with the default limit of 50 million pixels this is 1.5 GB.
    return 500_000_000 + 20 * _settings().max_pixels
