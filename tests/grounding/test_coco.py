"""COCO files, read by the tool that its authors wrote."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.grounding.exported_results import EACH, SIZES, result, ring_mask
from tests.grounding.test_coming_back import bitmap
from vlm_app.grounding.formats import Result, exported, imported
from vlm_app.types import Mask, Point, Polygon

# pycocotools hands numpy its masks in the way of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("given", EACH, ids=lambda given: f"{len(given.images)}-{given.images[0].name}")
def test_pycocotools_loads_what_is_exported(given: Result, tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_bytes(exported(given, "coco"))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert len(coco.getImgIds()) == len(given.images)
    assert {one["name"] for one in coco.loadCats(coco.getCatIds())} >= {"cat", "größter Hund 犬", "text line"}
    for number, image in enumerate(given.images, 1):
        assert len(coco.loadAnns(coco.getAnnIds(imgIds=[number]))) == len(given.on(number - 1)), image.name
    for region, annotation in zip(given.regions, coco.loadAnns(coco.getAnnIds()), strict=True):
        size = given.images[region.image].size
        if isinstance(region.shape, Mask):
            assert (coco.annToMask(annotation) == bitmap(region.shape, size)).all()
            assert annotation["area"] == bitmap(region.shape, size).sum()
            assert annotation["bbox"] == coco_mask.toBbox(coco.annToRLE(annotation)).tolist()
        elif isinstance(region.shape, Polygon):
            assert annotation["area"] == pytest.approx(coco.annToMask(annotation).sum(), rel=0.05)
        elif isinstance(region.shape, Point):
            assert annotation["keypoints"] == [*annotation["bbox"][:2], 2]


def test_a_box_is_left_top_width_and_height_in_pixels() -> None:
    data = json.loads(exported(result("wide"), "coco"))
    left, top, width, height = data["annotations"][0]["bbox"]
    assert (left, top) == pytest.approx((0.123456 * 1003, 0.2 * 211), abs=0.001)
    assert (left + width, top + height) == pytest.approx((0.654321 * 1003, 211), abs=0.002)
    assert data["annotations"][0]["area"] == pytest.approx(width * height, abs=0.001)
    assert data["categories"][0]["keypoints"] == ["point"] and "keypoints" not in data["categories"][1]


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_a_mask_that_pycocotools_packed_is_read(size: tuple[int, int]) -> None:
    whole = bitmap(ring_mask(size), size)
    code: dict[str, Any] = coco_mask.encode(np.asfortranarray(whole.astype(np.uint8)))
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": code | {"counts": code["counts"].decode()},
    }
    data = {
        "images": [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}],
        "categories": [{"id": 1, "name": "ring"}],
        "annotations": [annotation],
    }
    (region,) = imported(json.dumps(data), "coco").regions
    assert isinstance(region.shape, Mask)
    assert (bitmap(region.shape, size) == whole).all()
