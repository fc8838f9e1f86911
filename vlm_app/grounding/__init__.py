"""Regions of an image: comparing, colouring, drawing and writing them down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vlm_app.grounding.export import region_from_dict, region_to_dict
from vlm_app.grounding.palette import PALETTE, colours, ink
from vlm_app.grounding.shapes import bounds, iou, match

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlm_app.types import Region

__all__ = [
    "PALETTE",
    "bounds",
    "colours",
    "draw",
    "ink",
    "iou",
    "match",
    "region_from_dict",
    "region_to_dict",
]


def draw(image: Image, regions: Sequence[Region]) -> Image:
    """A copy of an image with regions and their labels drawn on it.

    Args:
        image: the upright original; it is left as it is.
        regions: what to draw, all on this image whatever their `image` says. Colours
            are those of `colours(regions)`.

    Returns:
        An RGB image of the same size.
    """
    # supervision and OpenCV take more than a second to import: not before something is drawn.
    from vlm_app.grounding import drawing

    return drawing.draw(image, regions)
