"""What leaves the app: the picture's pixels, and nothing that was written around them."""

from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vlm_app.errors import BadInput
from vlm_app.media import open_image, picture_from, png_bytes, thumbnail

SECRETS = (b"GPS-SECRET", b"XMP-SECRET", b"ICC-SECRET", b"TEXT-SECRET")


def telling() -> bytes:
    """A JPEG that says where it was taken, in each place where a file can say it."""
    exif = Image.Exif()
    exif[0x010E] = "GPS-SECRET"
    exif.get_ifd(0x8825)[29] = "GPS-SECRET"
    file = BytesIO()
    Image.new("RGB", (80, 60), "teal").save(
        file, "JPEG", exif=exif, xmp=b"XMP-SECRET", icc_profile=b"ICC-SECRET", comment=b"TEXT-SECRET"
    )
    return file.getvalue()


def test_where_a_photo_was_taken_is_in_nothing_that_is_served() -> None:
    data = telling()
    assert all(secret in data for secret in SECRETS)  # the test's own file does hold them
    picture = open_image(data, name="home.jpg")
    assert not picture.pixels.info
    for served in (png_bytes(picture.pixels), thumbnail(picture, 32)):
        assert not any(secret in served for secret in SECRETS)
        image = Image.open(BytesIO(served))
        image.load()
        assert not image.getexif() and "icc_profile" not in image.info


def test_an_image_that_carries_metadata_itself_is_written_without() -> None:
    file, text = BytesIO(), PngInfo()
    text.add_text("Comment", "TEXT-SECRET")
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=text, icc_profile=b"ICC-SECRET", dpi=(72, 72))
    opened = Image.open(file)
    opened.load()
    served = png_bytes(opened)
    assert not any(secret in served for secret in SECRETS)
    assert set(Image.open(BytesIO(served)).info) == set()
    assert "icc_profile" in opened.info  # the given image is left as it was


def test_a_picture_survives_being_written_and_read_again() -> None:
    picture = picture_from(Image.effect_noise((91, 47), 80).convert("RGB"))
    assert open_image(png_bytes(picture.pixels)) == picture


def test_the_hash_is_that_of_size_and_pixels() -> None:
    image = Image.effect_noise((20, 10), 80).convert("RGB")
    assert picture_from(image).sha256 == hashlib.sha256(b"20x10\n" + image.tobytes()).hexdigest()
    plain = (Image.new("RGB", (4, 3)), Image.new("RGB", (3, 4)))  # the same bytes, another shape
    assert picture_from(plain[0]) != picture_from(plain[1])


def test_a_drawn_image_of_any_mode_becomes_a_picture_on_white() -> None:
    clear = Image.new("RGBA", (4, 3), (200, 0, 0, 0))
    assert picture_from(clear).pixels.getpixel((0, 0)) == (255, 255, 255)
    assert picture_from(Image.new("L", (4, 3), 7)).pixels.getpixel((0, 0)) == (7, 7, 7)


def test_a_picture_does_not_change_with_the_image_it_was_made_from() -> None:
    image = Image.new("RGB", (4, 3))
    picture = picture_from(image)
    image.putpixel((0, 0), (9, 9, 9))
    assert picture.pixels.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((800, 600), 320, (320, 240)),
        ((100, 50), 320, (100, 50)),
        ((1000, 10), 50, (50, 1)),
        ((1, 1), 1, (1, 1)),
    ],
)
def test_a_thumbnail_fits_and_is_never_enlarged(
    size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    image = Image.open(BytesIO(thumbnail(picture_from(Image.new("RGB", size, "olive")), side)))
    assert image.format == "WEBP"
    assert image.size == expected


def test_a_thumbnail_without_a_size_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 1 pixel"):
        thumbnail(picture_from(Image.new("RGB", (4, 4))), 0)
