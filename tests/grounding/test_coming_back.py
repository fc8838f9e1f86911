"""What is exported and read back lies where it lay: COCO, Label Studio, the app's own JSON."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.grounding.exported_results import EACH, result
from vlm_app.errors import BadInput
from vlm_app.grounding.formats import Result, Source, exported, imported, reading
from vlm_app.grounding.formats.bitmaps import pixels_of
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape


def numbers(shape: Shape, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The coordinates of a shape in pixels."""
    if isinstance(shape, Polygon):
        flat = list(chain.from_iterable((point.x, point.y) for point in shape.points))
    elif isinstance(shape, Point):
        flat = [shape.x, shape.y]
    else:
        assert isinstance(shape, Box)
        flat = list(shape.xyxy)
    return np.array(flat).reshape(-1, 2) * size


def bitmap(mask: Mask, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    whole = np.zeros(size[::-1], np.bool_)
    (left, top), rows = pixels_of(mask, size)
    whole[top : top + rows.shape[0], left : left + rows.shape[1]] = rows
    return whole


@pytest.mark.parametrize("format", ["json", "coco", "label-studio"])
@pytest.mark.parametrize("given", EACH, ids=lambda given: f"{len(given.images)}-{given.images[0].name}")
def test_every_kind_of_region_comes_back_within_a_pixel(given: Result, format: str) -> None:
    back = imported(exported(given, format), format)
    assert [(one.name, one.size) for one in back.images] == [(one.name, one.size) for one in given.images]
    for old, new in zip(given.regions, back.regions, strict=True):
        size = given.images[old.image].size
        assert (new.label, new.image, new.text, new.score) == (old.label, old.image, old.text, old.score)
        assert new.kind == old.kind
        if isinstance(old.shape, Mask) and isinstance(new.shape, Mask):
            assert (bitmap(old.shape, size) == bitmap(new.shape, size)).all()
        else:
            assert np.abs(numbers(old.shape, size) - numbers(new.shape, size)).max() < 1


@pytest.mark.parametrize("format", ["coco", "label-studio"])
@pytest.mark.parametrize(
    "box", [Box(0, 0, 1, 1), Box(0, 0, 0.5, 1), Box(0.5, 0.5, 1, 1), Box(0.25, 0.25, 0.26, 0.26)]
)
@pytest.mark.parametrize("bit", [0, 1])
def test_full_and_empty_masks_come_back(box: Box, bit: int, format: str) -> None:
    size = (100, 60)
    mask = Mask(box, (4, 4), bytes([bit]) * 16)
    back = imported(exported(Result((Source("a.png", size),), (Region("m", mask),)), format), format)
    (region,) = back.regions
    assert isinstance(region.shape, Mask)
    assert (bitmap(region.shape, size) == bitmap(mask, size)).all()


@pytest.mark.parametrize("format", ["json", "coco", "label-studio"])
def test_nothing_found_is_a_file_too(format: str) -> None:
    for given in (Result(), Result((Source("a.png", (4, 3)),), text="Nothing.")):
        back = imported(exported(given, format), format)
        assert back.regions == () and len(back.images) == len(given.images)


def test_the_apps_own_json_loses_nothing() -> None:
    given = result("wide", "tall")
    back = imported(exported(given, "json"), "json")
    assert back.regions == given.regions
    assert (back.text, back.model, back.task, back.query) == (given.text, "pebble", "detect", "everything")


# --- files of others ----------------------------------------------------------------------


def coco(**change: Any) -> str:
    annotation = {"id": 7, "image_id": 3, "category_id": 18, "bbox": [10, 20, 30, 40]} | change
    data = {
        "images": [{"id": 3, "file_name": "000003.jpg", "width": 100, "height": 200}],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}],
        "annotations": [annotation],
    }
    return json.dumps(data)


def test_a_coco_box_is_read() -> None:
    (region,) = imported(coco(), "coco").regions
    assert region == Region("dog", Box(0.1, 0.1, 0.4, 0.3))


def test_a_coco_box_that_reaches_over_the_edge_is_cut_off() -> None:
    (region,) = imported(coco(bbox=[-0.5, 20, 200, 40]), "coco").regions
    assert region.shape == Box(0, 0.1, 1, 0.3)


def test_a_coco_object_of_two_outlines_is_a_mask() -> None:
    rings = [[0, 0, 9, 0, 9, 9, 0, 9], [50, 50, 59, 50, 59, 59, 50, 59]]
    (region,) = imported(coco(segmentation=rings), "coco").regions
    assert isinstance(region.shape, Mask)
    assert bitmap(region.shape, (100, 200)).sum() == pytest.approx(200, abs=10)


def test_a_person_of_many_keypoints_is_its_box() -> None:
    (region,) = imported(coco(keypoints=[1, 2, 2] * 17, num_keypoints=17), "coco").regions
    assert region.kind == "box"


def studio(value: dict[str, Any], kind: str = "rectanglelabels", **more: Any) -> str:
    part = {"id": "a", "type": kind, "original_width": 200, "original_height": 100, "value": value}
    task = {"data": {"image": "https://example.com/upload/1.jpg?x=1"}, "annotations": [{"result": [part]}]}
    return json.dumps([task | more])


BOX = {"x": 50.0, "y": 0, "width": 25.0, "height": 50, "rectanglelabels": ["Moonwalker"]}


def test_a_persons_annotation_counts_before_a_prediction() -> None:
    predictions = [{"model_version": "m", "result": []}]
    back = imported(studio(BOX, predictions=predictions), "label-studio")
    assert back.regions == (Region("Moonwalker", Box(0.5, 0, 0.75, 0.5)),)
    assert back.images == (Source("1.jpg", (200, 100)),)


def test_a_cancelled_annotation_does_not_count() -> None:
    cancelled = [{"was_cancelled": True, "result": [{"type": "rectanglelabels"}]}]
    back = imported(studio(BOX, annotations=cancelled, predictions=[{"result": []}]), "label-studio")
    assert back.regions == ()


def test_a_turned_rectangle_is_a_polygon() -> None:
    """25 % of 200 pixels is 50: turned by a quarter about its left top corner it points down."""
    (region,) = imported(studio(BOX | {"rotation": 90}), "label-studio").regions
    corners = numbers(region.shape, (200, 100))
    assert corners == pytest.approx(np.array([[100, 0], [100, 50], [50, 50], [50, 0]]), abs=1e-6)


def test_choices_and_relations_are_left_out() -> None:
    assert imported(studio({"choices": ["yes"]}, "choices"), "label-studio").regions == ()


@pytest.mark.parametrize(
    ("format", "data", "words"),
    [
        ("coco", "{", "is JSON"),
        ("coco", b"\xff\xfe", "is JSON"),
        ("coco", "[" * 100_000, "is JSON"),
        ("coco", "[]", "is an object"),
        ("coco", "{}", "'images' is a list, found nothing"),
        ("coco", coco(bbox=[1, 2, 3]), "annotation 1, 'bbox', has 4 numbers, found 3"),
        ("coco", coco(bbox=[1, 2, -3, 4]), "0 or more"),
        ("coco", coco(bbox=[1, 2, "3", 4]), "is a number"),
        ("coco", coco(bbox=[1, 2, float("nan"), 4]), "finite number"),
        ("coco", coco(image_id=4), "names an image and a category"),
        ("coco", coco(category_id=[4]), "under 'category_id'"),
        ("coco", coco(score=3), "score from 0 to 1"),
        ("coco", coco(segmentation=[[1, 2, 3]]), "odd number"),
        ("coco", coco(segmentation=[[1, 2, 3, 4]]), "three or more points"),
        ("coco", coco(segmentation={"size": [2, 2], "counts": [1, 2]}), "add up to"),
        ("coco", coco(segmentation={"size": [2, 2], "counts": "é"}), "as pycocotools writes"),
        ("coco", coco(segmentation={"size": [10**6, 10**6], "counts": [10**12]}), "at most"),
        ("label-studio", "{}", "is a list"),
        ("label-studio", "[{}]", "'data', is an object"),
        ("label-studio", b"PK\x03\x04", "found none that can be read"),
        ("label-studio", studio({"x": 1}), "'y', is a number, found nothing"),
        ("label-studio", studio({"points": [[1, 2]]}, "polygonlabels"), "three or more"),
        ("label-studio", studio({"rle": [0, 0, 0, 9]}, "brushlabels"), "another code"),
        ("label-studio", studio({"rle": [999]}, "brushlabels"), "another code"),
        ("json", '{"format": "vlm-app/regions", "version": 2}', "version 1"),
        (
            "json",
            '{"format": "vlm-app/regions", "version": 1, "images": [], "regions": [{}]}',
            "'label' is text",
        ),
        ("csv", "", "are not read back; choose one of: json, coco, label-studio"),
        ("xml", "", "There is no export format 'xml'"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_in_one_sentence(
    format: str, data: bytes | str, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        imported(data, format)
    assert words in caught.value.sentence
    assert "\n" not in caught.value.sentence and caught.value.sentence.endswith(".")


def test_a_zip_of_label_studio_that_was_damaged_on_its_way_is_refused() -> None:
    data = exported(result(), "label-studio")
    refused = 0
    for place in range(60, len(data), 7):
        try:
            imported(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :], "label-studio")
        except BadInput:
            refused += 1
    assert refused > 5


def test_what_label_studio_left_out_is_named() -> None:
    turned = {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 30, "rectanglelabels": ["cat"]}
    part = {"type": "rectanglelabels", "value": turned}
    task = [{"data": {"image": "a.png"}, "annotations": [{"result": [part]}]}]
    with pytest.raises(BadInput, match=r"task 1, result 1, 'original_width', is a number, found nothing"):
        imported(json.dumps(task), "label-studio")


@pytest.mark.parametrize("format", ["json", "coco", "label-studio"])
@pytest.mark.parametrize("name", ["50%25 off.png", "what?d=1.png", "größe 犬.png", "a&b#c.png"])
def test_an_images_name_comes_back(name: str, format: str) -> None:
    back = imported(exported(Result((Source(name, (4, 3)),)), format), format)
    assert back.images == (Source(name, (4, 3)),)


def test_masks_of_a_small_file_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_MASKED", 19_999)
    code = {"size": [200, 100], "counts": [0, 20_000]}
    with pytest.raises(BadInput, match="divide the file"):
        imported(coco(segmentation=code), "coco")


def test_the_labels_of_a_rectangle_may_be_a_result_of_their_own() -> None:
    """As Label Studio's template for reading text has it: rectangle, labels and textarea share an id."""
    place = {"x": 50.0, "y": 0, "width": 25.0, "height": 50, "rotation": 0}
    values = {"rectangle": {}, "labels": {"labels": ["Text"]}, "textarea": {"text": ["one", "two"]}}
    size = {"original_width": 200, "original_height": 100}
    parts = [{"id": "a", "type": kind, "value": place | value, **size} for kind, value in values.items()]
    task = {"data": {"ocr": "/data/upload/1/receipt.png"}, "annotations": [{"result": parts}]}
    back = imported(json.dumps([task]), "label-studio")
    assert back.regions == (Region("Text", Box(0.5, 0, 0.75, 0.5), text="one\ntwo"),)
    assert back.images == (Source("receipt.png", (200, 100)),)
