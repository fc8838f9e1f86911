"""YOLO's labels: lines of a class and of fractions, as Ultralytics documents them."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZipFile

import numpy as np
import pytest
import yaml

from tests.grounding.exported_results import SIZES, every_kind, result, ring_mask
from vlm_app.grounding.formats import Result, Source, exported
from vlm_app.types import Box, Point, Region

SQUARE = Source("a.png", (200, 200))


def files(given: Result) -> dict[str, str]:
    with ZipFile(BytesIO(exported(given, "yolo"))) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_box_is_its_class_centre_width_and_height() -> None:
    regions = (Region("cat", Box(0.1, 0.2, 0.5, 1.0)), Region("dog", Box(0, 0, 1, 1)))
    found = files(Result((SQUARE,), regions))
    assert (
        found["labels/a.txt"]
        == "0 0.300000 0.600000 0.400000 0.800000\n1 0.500000 0.500000 1.000000 1.000000\n"
    )
    assert found["classes.txt"] == "cat\ndog\n"
    # Without a path Ultralytics looks beside this file; a relative one it takes from elsewhere.
    assert yaml.safe_load(found["data.yaml"]) == {
        "train": "images",
        "val": "images",
        "names": {0: "cat", 1: "dog"},
    }


@pytest.mark.parametrize("name", SIZES)
def test_with_one_outline_all_lines_are_outlines(name: str) -> None:
    found = files(result(name))
    lines = [line.split() for line in found[f"labels/{name}.txt"].splitlines()]
    assert [int(line[0]) for line in lines] == [0, 1, 2, 3, 4]
    for line in lines:
        values = np.array([float(value) for value in line[1:]])
        assert len(values) >= 6 and len(values) % 2 == 0 and values.min() >= 0 and values.max() <= 1
    box = np.array([float(value) for value in lines[0][1:]]).reshape(-1, 2) * SIZES[name]
    corners = np.array([(0.123456, 0.2), (0.654321, 1.0)]) * SIZES[name]
    assert np.abs(box.min(axis=0) - corners[0]).max() < 1 and np.abs(box.max(axis=0) - corners[1]).max() < 1


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
def test_a_mask_is_its_outer_outline(size: tuple[int, int]) -> None:
    found = files(Result((Source("a.png", size),), (Region("ring", ring_mask(size)),)))
    (line,) = found["labels/a.txt"].splitlines()
    outline = np.array([float(value) for value in line.split()[1:]]).reshape(-1, 2) * size
    inner = np.array((size[0] // 10, size[1] // 10))
    assert np.abs(outline.min(axis=0) - inner).max() <= 1
    assert np.abs(outline.max(axis=0) - inner - np.array(size) // 2).max() <= 1.5


def test_points_are_left_out_and_that_is_said() -> None:
    found = files(Result((SQUARE,), (Region("cat", Point(0.5, 0.5)), Region("dog", Box(0, 0, 1, 1)))))
    assert found["labels/a.txt"].startswith("0 ") and found["classes.txt"] == "dog\n"
    assert "1 left out" in found["LEFT_OUT.txt"]


def test_every_image_has_its_file() -> None:
    images = (Source("x/../a.png", (9, 9)), Source("A.jpg", (9, 9)), Source("größe 1.png", (9, 9)))
    found = files(Result(images, (Region("cat", Box(0, 0, 1, 1), image=2),)))
    labels = {name: text for name, text in found.items() if name.startswith("labels/")}
    assert list(labels) == ["labels/x_a.txt", "labels/A.txt", "labels/größe_1.txt"]
    assert [bool(text) for text in labels.values()] == [False, False, True]


def test_classes_are_one_line_each_whatever_a_model_calls_them() -> None:
    labels = ['a: "b"\n- c', "#x", "犬\u2028\x85", "'q'", "", "{}", "\ud800", "🦊\\"]
    found = files(Result((SQUARE,), tuple(Region(label, Box(0, 0, 1, 1)) for label in labels)))
    names = found["classes.txt"].splitlines()
    assert names == ['a: "b" - c', "#x", "犬", "'q'", "object", "{}", "🦊\\"]
    assert list(yaml.safe_load(found["data.yaml"])["names"].values()) == names


def test_nothing_found_is_an_empty_file() -> None:
    found = files(Result((SQUARE,)))
    assert found["labels/a.txt"] == found["classes.txt"] == ""
    assert yaml.safe_load(found["data.yaml"])["names"] == {}
    assert set(files(Result())) == {"classes.txt", "data.yaml"}


def test_text_is_one_class() -> None:
    regions = [region for region in every_kind((200, 200)) if region.text]
    assert files(Result((SQUARE,), tuple(regions)))["classes.txt"] == "text line\ntitle\n"
