"""hOCR: valid by the hocr-spec package, and every word where it stands on its page."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from tests.grounding.pages import SIZE, askew, blank, document, printed
from vlm_app.grounding.formats import Result, Source, exported
from vlm_app.types import Box, Region

XHTML = "{http://www.w3.org/1999/xhtml}"
NEAR = 5  # pixels: printing moves some letters closer to their neighbours


def complaints(data: bytes, path: Path) -> list[str]:
    """What the validator of the format's authors finds wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was written for older Pythons
        from hocr_spec import HocrValidator
    path.write_bytes(data)
    report: Any = HocrValidator("standard").validate(str(path))
    return [str(item) for item in report.items if item.level != "WARN"]


def elements(data: bytes, kind: str) -> list[ElementTree.Element]:
    """It is XML too, apart from the first line."""
    root = ElementTree.fromstring(data.decode().split("\n", 1)[1])
    return [one for one in root.iter() if one.get("class") == kind]


def box(element: ElementTree.Element) -> list[int]:
    found = re.search(r"\bbbox (\d+) (\d+) (\d+) (\d+)", element.get("title", ""))
    assert found
    return [int(number) for number in found.groups()]


def test_it_is_valid_and_has_every_word_where_it_is_printed(tmp_path: Path) -> None:
    page = printed()
    data = exported(document(page), "hocr")
    assert complaints(data, tmp_path / "a.hocr") == []
    assert [one.text for one in elements(data, "ocrx_word")] == [word for word, _ in page.words]
    for element, (_, pixels) in zip(elements(data, "ocrx_word"), page.words, strict=True):
        assert np.abs(np.array(box(element)) - np.array(pixels)).max() <= NEAR
        assert "x_wconf 90" in element.get("title", "")


def test_lines_stand_within_a_pixel_of_their_regions_and_hold_their_words() -> None:
    page = printed()
    found = elements(exported(document(page), "hocr"), "ocr_line")
    for element, region in zip(found, page.regions, strict=True):
        assert isinstance(region.shape, Box)
        assert np.abs(np.array(box(element)) - np.array(region.shape.xyxy) * (SIZE * 2)).max() <= 1
        assert "".join(element.itertext()) == region.text


def test_each_image_is_a_page_with_its_name_and_number(tmp_path: Path) -> None:
    given = document(printed(), printed(image=1))
    data = exported(given, "hocr")
    assert complaints(data, tmp_path / "a.hocr") == []
    titles = [one.get("title") for one in elements(data, "ocr_page")]
    assert titles == [f'image "page-{n + 1}.png"; bbox 0 0 1224 1584; ppageno {n}' for n in range(2)]


def test_a_line_that_is_askew_has_a_sloping_baseline(tmp_path: Path) -> None:
    data = exported(blank(askew("three degrees down", 3, (600, 800), 800, 40)), "hocr")
    assert complaints(data, tmp_path / "a.hocr") == []
    (line,) = elements(data, "ocr_line")
    found = re.search(r"baseline (\S+) (-?\d+)", line.get("title", ""))
    assert found and float(found[1]) == pytest.approx(np.tan(np.radians(3)), abs=1e-4)
    left, _, _, bottom = box(line)
    # In the middle of the line the baseline lies 0.3 of its height below its middle.
    assert bottom + int(found[2]) + float(found[1]) * (600 - left) == pytest.approx(812, abs=2)


@pytest.mark.parametrize(("angle", "counter"), [(90, 270), (180, 180), (270, 90)])
def test_a_line_on_its_side_says_its_angle_counterclockwise(angle: int, counter: int, tmp_path: Path) -> None:
    data = exported(blank(askew("on its side", angle, (600, 800), 400, 40)), "hocr")
    assert complaints(data, tmp_path / "a.hocr") == []
    (line,) = elements(data, "ocr_line")
    assert f"textangle {counter}.00" in line.get("title", "")
    first, *_, last = (np.array(box(one)).reshape(2, 2).mean(0) for one in elements(data, "ocrx_word"))
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    assert (last - first) @ along > 100


def test_words_of_a_language_that_is_read_leftwards_begin_at_the_right() -> None:
    data = exported(blank(Region("text line", Box(0.1, 0.1, 0.6, 0.13), text="שלום עולם")), "hocr")
    first, second = elements(data, "ocrx_word")
    assert first.text == "שלום" and box(first)[0] > box(second)[2]


@settings(max_examples=40, deadline=None)
@each(text=st.text(max_size=60), name=st.text(max_size=30), label=st.text(max_size=20))
def test_whatever_stands_in_an_image_is_text_in_the_file(
    text: str, name: str, label: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given = Result(
        (Source(name, (90, 60)),),
        (Region(label, Box(0, 0, 1, 1), text=text, score=0.5),),
        "",
        label,
        "ocr_regions",
    )
    data = exported(given, "hocr")
    assert complaints(data, tmp_path_factory.mktemp("hocr") / "a.hocr") == []
    assert len(elements(data, "ocr_page")) == 1


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '" onload="x', "</span></div>", "&lt;b&gt;"]
)
def test_markup_in_an_image_or_its_name_stays_text(hostile: str, tmp_path: Path) -> None:
    given = Result(
        (Source(hostile, (90, 60)),), (Region(hostile, Box(0, 0, 1, 1), text=hostile),), hostile, hostile
    )
    data = exported(given, "hocr")
    assert complaints(data, tmp_path / "a.hocr") == []
    root = ElementTree.fromstring(data.decode().split("\n", 1)[1])
    tags = {one.tag.removeprefix(XHTML) for one in root.iter()}
    assert tags == set("html head meta title style body div span".split())
    assert {name for one in root.iter() for name in one.attrib} <= set(
        "class id title charset name content".split()
    )
    assert " ".join(one.text or "" for one in elements(data, "ocrx_word")) == hostile


def test_an_image_without_text_is_an_empty_page(tmp_path: Path) -> None:
    for given in (Result(), Result((Source("a.png", (4, 3), Image.new("RGB", (4, 3))),))):
        data = exported(given, "hocr")
        assert len(elements(data, "ocr_page")) == len(given.images) and elements(data, "ocr_line") == []
