"""Pictures that a test draws."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return draw(tmp_path / "circle.png", "red")


def draw(path: Path, colour: str) -> Path:
    image = Image.new("RGB", (320, 240), "white")
    ImageDraw.Draw(image).ellipse((40, 48, 120, 128), fill=colour)
    image.save(path)
    return path
