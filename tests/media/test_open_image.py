"""What a user meets who uploads good, odd and hostile images."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.media.image_files import chunk, encoded, fresh_settings, png, refusal, scene
from vlm_app.media import open_image

__all__ = ["fresh_settings"]


def near(image: Image.Image, place: tuple[int, int], colour: tuple[int, int, int], within: int = 0) -> bool:
    found = image.getpixel(place)
    assert isinstance(found, tuple)
    return all(abs(a - b) <= within for a, b in zip(found, colour, strict=True))


# --- formats and modes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "within"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 12),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 12),
    ],
)
def test_every_allowed_format_opens_with_its_colours(kind: str, options: dict[str, Any], within: int) -> None:
    picture = open_image(encoded(scene(), kind, **options), name="x")
    assert picture.size == (60, 40)
    assert picture.note == ""
    assert near(picture.pixels, (5, 5), (255, 0, 0), within)
    assert near(picture.pixels, (55, 5), (0, 255, 0), within)
    assert near(picture.pixels, (5, 35), (0, 0, 255), within)
    assert near(picture.pixels, (30, 20), (255, 255, 255), within)


def test_the_content_counts_and_not_the_name() -> None:
    assert open_image(encoded(scene(), "JPEG"), name="really.png").size == (60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF of pages"])
def test_a_photo_taken_in_any_orientation_is_upright(kind: str, orientation: int) -> None:
    # How a camera stores an upright scene under each orientation (the inverse of its tag).
    stored = {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }[orientation]
    image = scene()
    for step in stored:
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True},
        "TIFF of pages": {"save_all": True, "append_images": [Image.new("RGB", (9, 9))]},
    }.get(kind, {})
    picture = open_image(encoded(image, kind.split()[0], exif=exif, **options), name="photo")
    assert picture.size == (60, 40)
    assert picture.note == ("first of 2 pages" if kind == "TIFF of pages" else "")
    for place in ((0, 0), (19, 9), (40, 0), (59, 9), (0, 30), (19, 39), (40, 30), (59, 39), (30, 20)):
        expected = scene().getpixel(place)
        assert isinstance(expected, tuple)
        assert near(
            picture.pixels, place, (expected[0], expected[1], expected[2]), 40 if kind == "JPEG" else 0
        )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"II*\x00\xff\xff\xff\xff\x01\x00", b"\x00" * 8, b"II*\x00", b"II*\x00\x08\x00\x00\x00\x05\x00"]
)
def test_broken_exif_does_not_cost_the_picture(kind: str, exif: bytes) -> None:
    data = encoded(scene(), kind, exif=b"Exif\x00\x00" + exif)
    assert open_image(data, name="x").size == (60, 40)


def test_a_profile_that_is_no_exif_does_not_cost_the_picture() -> None:
    info = PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n 8\nno numbers\n")
    assert open_image(encoded(scene(), "PNG", pnginfo=info), name="x").size == (60, 40)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (0, 255), (0, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("RGBA", (9, 8, 7, 255), (9, 8, 7)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 100, (100, 100, 100)),
        ("I;16", 0, (0, 0, 0)),
    ],
)
def test_a_png_of_any_mode_shows_what_a_person_sees(
    mode: str, colour: Any, seen: tuple[int, int, int]
) -> None:
    image = Image.new(mode, (4, 3))
    image.paste(colour, (0, 0, 4, 3))
    assert near(open_image(encoded(image, "PNG"), name="x").pixels, (1, 1), seen)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("LAB", (255, 128, 128), None),
        ("I", 257 * 100, (100, 100, 100)),
        ("I;16B", 257 * 100, (100, 100, 100)),
        ("F", 0.5, (128, 128, 128)),
        ("F", 200.0, (200, 200, 200)),
    ],
)
def test_a_tiff_of_a_wide_mode_is_scaled_and_not_clipped(
    mode: str, colour: Any, seen: tuple[int, int, int] | None
) -> None:
    picture = open_image(encoded(Image.new(mode, (4, 3), colour), "TIFF"), name="x")
    assert picture.pixels.mode == "RGB"
    assert seen is None or near(picture.pixels, (1, 1), seen, 1)


def test_numbers_outside_any_usual_range_are_stretched() -> None:
    image = Image.new("F", (2, 1), -1000.0)
    image.putpixel((1, 0), 3000.0)
    picture = open_image(encoded(image, "TIFF"), name="x")
    assert near(picture.pixels, (0, 0), (0, 0, 0), 1) and near(picture.pixels, (1, 0), (255, 255, 255), 1)


def test_numbers_that_are_none_are_refused() -> None:
    assert "not numbers" in refusal(encoded(Image.new("F", (2, 2), float("nan")), "TIFF"))


def test_an_inverted_cmyk_jpeg_of_a_layout_program_has_its_colours() -> None:
    # Adobe writes CMYK JPEGs inverted and says so in an APP14 segment, as Pillow does too.
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    assert near(open_image(data, name="x").pixels, (8, 8), (255, 0, 0), 6)


@pytest.mark.parametrize("options", [{"transparency": 0}, {"transparency": bytes([0, 255])}])
def test_a_palette_with_transparency_lies_on_white(options: dict[str, Any]) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putpixel((1, 0), 1)
    pixels = open_image(encoded(image, "PNG", **options), name="x").pixels
    assert near(pixels, (0, 0), (255, 255, 255)) and near(pixels, (1, 0), (200, 10, 10))


def test_a_turned_palette_image_keeps_its_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 10, 10])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = open_image(encoded(image, "PNG", transparency=0, exif=exif), name="x")
    assert picture.size == (1, 2) and near(picture.pixels, (0, 0), (255, 255, 255))


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 65535, 257 * 100, 0)), (255, 100, 0)),
        (png(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 65535, 257 * 100, 0, 65535)), (255, 100, 0)),
        (png(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 65535, 257 * 100, 0, 0)), (255, 255, 255)),
        (png(1, 1, 16, 4, b"\0" + struct.pack(">HH", 257 * 100, 65535)), (100, 100, 100)),
        (
            png(1, 1, 16, 0, b"\0" + struct.pack(">H", 300), chunk(b"tRNS", struct.pack(">H", 300))),
            (255, 255, 255),
        ),
        (png(1, 1, 8, 2, b"\0\1\2\3", chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))), (255, 255, 255)),
        (png(1, 1, 8, 2, b"\0\1\2\4", chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))), (1, 2, 4)),
        (png(1, 1, 1, 0, b"\0\0", chunk(b"tRNS", struct.pack(">H", 0))), (255, 255, 255)),
        (png(1, 1, 2, 0, b"\0\x40"), (85, 85, 85)),
    ],
    ids=[
        "rgb16",
        "rgba16",
        "rgba16 clear",
        "la16",
        "grey16 key",
        "rgb key",
        "rgb no key",
        "1-bit key",
        "2-bit",
    ],
)
def test_rare_pngs_show_what_a_browser_shows(data: bytes, seen: tuple[int, int, int]) -> None:
    assert near(open_image(data, name="x").pixels, (0, 0), seen)


@pytest.mark.parametrize(
    ("kind", "note"),
    [("GIF", "first of 3 frames"), ("WEBP", "first of 3 frames"), ("TIFF", "first of 3 pages")],
)
def test_an_animation_shows_its_first_frame_and_says_so(kind: str, note: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    picture = open_image(data, name="dance")
    assert picture.note == note
    assert near(picture.pixels, (3, 3), (255, 0, 0))


def test_a_phone_photo_with_a_depth_frame_is_one_picture() -> None:
    data = encoded(scene(), "MPO", save_all=True, append_images=[scene().convert("L").convert("RGB")])
    assert open_image(data, name="photo.jpg").note == ""
