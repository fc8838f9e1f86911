"""What Label Studio imports: its documented tasks, per cent of the image, and a configuration."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest

from tests.grounding.exported_results import EACH, result
from vlm_app.grounding.formats import Result, Source, exported
from vlm_app.grounding.formats.brush import decoded, encoded
from vlm_app.types import Box, Region

# The fields of a value, by the type of its result: labelstud.io/tags, each tag's 'Sample Results JSON'.
FIELDS = {
    "rectanglelabels": {"x", "y", "width", "height", "rotation", "rectanglelabels"},
    "keypointlabels": {"x", "y", "width", "keypointlabels"},
    "polygonlabels": {"points", "closed", "polygonlabels"},
    "brushlabels": {"format", "rle", "brushlabels"},
}
WRAPPING = {"id", "from_name", "to_name", "type", "original_width", "original_height", "image_rotation"}


def files(given: Result) -> tuple[list[dict[str, Any]], ElementTree.Element]:
    with ZipFile(BytesIO(exported(given, "label-studio"))) as archive:
        assert archive.namelist() == ["tasks.json", "config.xml"]
        return json.loads(archive.read("tasks.json")), ElementTree.fromstring(archive.read("config.xml"))


@pytest.mark.parametrize("given", EACH, ids=lambda given: f"{len(given.images)}-{given.images[0].name}")
def test_each_result_is_as_its_tag_documents_it(given: Result) -> None:
    tasks, _ = files(given)
    assert len(tasks) == len(given.images)
    for task, image in zip(tasks, given.images, strict=True):
        assert task["data"]["image"] == f"/data/local-files/?d={image.name}"
        (prediction,) = task["predictions"]
        assert prediction["model_version"] == "pebble"
        assert [part["type"] for part in prediction["result"]].count("textarea") == 2
        for part in prediction["result"]:
            assert set(part) - {"score"} == WRAPPING | {"value"}
            assert (part["original_width"], part["original_height"]) == image.size
            if part["type"] != "textarea":
                assert set(part["value"]) == FIELDS[part["type"]]
                assert len(part["value"][part["type"]]) == 1


def test_places_are_per_cent() -> None:
    given = Result((Source("a.png", (300, 50)),), (Region("cat", Box(0.1, 0.2, 0.5, 1.0), score=0.5),))
    (task,), _ = files(given)
    (part,) = task["predictions"][0]["result"]
    expected = {"x": 10, "y": 20, "width": 40, "height": 80, "rotation": 0}
    assert {key: part["value"][key] for key in expected} == pytest.approx(expected)
    assert part["score"] == 0.5


def test_read_text_is_a_text_area_of_its_box() -> None:
    (task,), _ = files(result("square"))
    shape, text = task["predictions"][0]["result"][-2:]
    assert shape["id"] == text["id"] and text["from_name"] == "transcription"
    assert text["value"]["text"] == ["A title, “quoted”"]
    assert shape["value"]["rectanglelabels"] == ["title"]


def test_the_configuration_knows_every_label_of_the_tasks() -> None:
    hostile = Region('"><Image name="x"/>&\0\n', Box(0, 0, 1, 1))
    given = result("square", "wide")
    tasks, view = files(Result(given.images, (*given.regions, hostile), given.text, given.model))
    controls = {tag.attrib["name"]: tag for tag in view if "name" in tag.attrib}
    for task in tasks:
        for part in task["predictions"][0]["result"]:
            tag = controls[part["from_name"]]
            assert tag.attrib["toName"] == part["to_name"] == "image"
            if part["type"] != "textarea":
                known = {label.attrib["value"] for label in tag}
                assert set(part["value"][part["type"]]) <= known
    assert [tag.attrib["value"] for tag in view.iter("Image")] == ["$image"]


def test_a_brushed_mask_is_the_documented_string_of_bits() -> None:
    """Two pixels of four bytes, the second one set, as two runs of four."""
    head = f"{8:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}"
    bits = head + "1" + "00" + f"{3:03b}" + f"{0:08b}" + "1" + "00" + f"{3:03b}" + f"{255:08b}"
    code = [int(bits[start : start + 8].ljust(8, "0"), 2) for start in range(0, len(bits), 8)]
    assert encoded([1, 1]) == code
    assert decoded(code, (2, 1), "a mask") == [1, 1]


def test_values_that_are_written_one_by_one_are_read() -> None:
    """Label Studio itself writes short stretches so."""
    head = f"{8:032b}" + f"{7:05b}" + f"{2:04b}{3:04b}{7:04b}{15:04b}"
    bits = head + "0" + "00" + f"{7:03b}" + "".join(f"{value:08b}" for value in (9, 9, 9, 0, 9, 9, 9, 8))
    code = [int(bits[start : start + 8].ljust(8, "0"), 2) for start in range(0, len(bits), 8)]
    assert decoded(code, (2, 1), "a mask") == [1, 1]


@pytest.mark.parametrize("runs", [[100_000, 50_000, 10_000], [0, 160_000], [160_000], [1, 1] * 80_000])
def test_runs_of_any_length_come_back(runs: list[int]) -> None:
    assert decoded(encoded(runs), (400, 400), "a mask") == runs
