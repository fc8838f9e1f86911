"""Exports of real photographs and a real page, which come with scikit-image: out, and back within a pixel."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pypdfium2
import pytest
import skimage
from PIL import Image

from tests.grounding.test_coming_back import bitmap, numbers
from vlm_app.grounding.formats import FORMATS, Result, Source, exported, imported
from vlm_app.media import open_image
from vlm_app.types import Box, Mask, Point, Polygon, Region

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "page.png")


def photograph(name: str) -> Image.Image:
    return open_image(Path(skimage.__file__).parent / "data" / name).pixels


def found_in(image: Image.Image, at: int) -> tuple[Region, ...]:
    """What stands out against the rest of its middle, as box, outline and mask; a point; and text."""
    width, height = image.size
    left, top, right, bottom = width // 5, height // 7, width - width // 6, height - height // 9
    grey = cv2.GaussianBlur(np.asarray(image.convert("L"))[top:bottom, left:right], (0, 0), 3)
    _, bits = cv2.threshold(grey, 0, 1, cv2.THRESH_OTSU)
    outline = max(cv2.findContours(bits, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0], key=cv2.contourArea)
    corners = cv2.approxPolyDP(outline, 2, True).reshape(-1, 2) + np.array((left, top))
    box = Box(left / width, top / height, right / width, bottom / height)
    return (
        Region("middle", box, at, score=0.75),
        Region("bright", Polygon(tuple(Point(float(x) / width, float(y) / height) for x, y in corners)), at),
        Region("bright", Mask(box, (right - left, bottom - top), bits.tobytes()), at),
        Region("centre", Point(0.5, 0.5), at),
        Region("SIGN", Box(0.01, 0.02, 0.31, 0.07), at, text="SIGN 12 €"),
    )


@pytest.fixture(scope="module")
def given() -> Result:
    images = [photograph(name) for name in PHOTOGRAPHS]
    regions = tuple(region for at, image in enumerate(images) for region in found_in(image, at))
    sources = tuple(Source(name, image.size, image) for name, image in zip(PHOTOGRAPHS, images, strict=True))
    return Result(sources, regions, "What stands out.", "pebble", "segment")


@pytest.mark.parametrize("format", [name for name, one in FORMATS.items() if one.read])
def test_what_was_found_comes_back_within_a_pixel(given: Result, format: str) -> None:
    back = imported(exported(given, format), format)
    assert [(one.name, one.size) for one in back.images] == [(one.name, one.size) for one in given.images]
    for old, new in zip(given.regions, back.regions, strict=True):
        size = given.images[old.image].size
        assert (new.label, new.image, new.kind, new.text) == (old.label, old.image, old.kind, old.text)
        if isinstance(old.shape, Mask) and isinstance(new.shape, Mask):
            assert (bitmap(old.shape, size) == bitmap(new.shape, size)).all()
        else:
            assert np.abs(numbers(old.shape, size) - numbers(new.shape, size)).max() < 1


def test_crops_are_the_photographs_own_pixels(given: Result) -> None:
    with ZipFile(BytesIO(exported(given, "crops"))) as archive:
        names = [name for name in archive.namelist() if name.endswith("_middle.png")]
        assert len(names) == len(PHOTOGRAPHS)
        for name, source in zip(names, given.images, strict=True):
            width, height = source.size
            edges = (width // 5, height // 7, width - width // 6, height - height // 9)
            with Image.open(archive.open(name)) as crop:
                assert crop.tobytes() == source.opened().crop(edges).tobytes()


def test_pages_of_a_pdf_look_like_the_photographs(given: Result) -> None:
    with pypdfium2.PdfDocument(exported(given, "pdf")) as document:
        for page, source in zip(document, given.images, strict=True):
            shown = np.asarray(page.render(scale=2).to_pil().convert("RGB"), np.int16)
            photo = np.asarray(source.opened(), np.int16)
            assert np.abs(np.array(shown.shape[:2]) - photo.shape[:2]).max() <= 1
            rows, columns = (min(a, b) for a, b in zip(shown.shape[:2], photo.shape[:2], strict=True))
            assert np.abs(shown[:rows, :columns] - photo[:rows, :columns]).mean() < 4  # of 255
            assert page.get_textpage().get_text_bounded() == "SIGN 12 €"


def test_every_format_takes_photographs(given: Result) -> None:
    for format in FORMATS:
        assert len(exported(given, format)) > 50
