"""Formats that people bring for boxes become the regions that were meant, in whatever unit they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.uploads.bringing import boxes, brought, folder, lines, png, zipped
from vlm_app.finetune.uploads import Space
from vlm_app.types import Task

# --- Roboflow ---------------------------------------------------------------------------


def roboflow(prefix: str, suffix: str, number: int = 1) -> dict[str, str]:
    return {"image": f"{number}.png", "prefix": prefix, "suffix": suffix}


def test_boxes_of_paligemma_are_read_and_other_answers_stay_words(tmp_path: Path) -> None:
    rows = [
        roboflow(
            "detect cat ; dog",
            "<loc0102><loc0205><loc0512><loc0716> cat ; <loc0000><loc0000><loc1023><loc1023> dog",
        ),
        roboflow("detect cat", ""),
        roboflow("caption en", "A cat."),
        roboflow("answer en what is it?", "a cat"),
        roboflow("Read it as JSON", '{"total": 3}'),
        roboflow("ocr", "EXIT"),
    ]
    files = {"train/_annotations.train.jsonl": lines(rows), "train/1.png": png(1)}
    found, problems, notes = brought(zipped(tmp_path / "a.zip", files))
    assert not problems and "Roboflow's image, prefix and suffix as JSONL" in notes
    assert [(row.example.task.value, row.example.query, row.example.text) for row in found] == [
        ("detect", "cat, dog", "cat, dog"),
        ("detect", "cat", ""),
        ("caption", "", "A cat."),
        ("chat", "what is it?", "a cat"),
        ("chat", "Read it as JSON", '{"total": 3}'),
        ("ocr", "", "EXIT"),
    ]
    assert boxes(found[0].example.regions) == [
        ("cat", (0.2004, 0.0997, 0.6999, 0.5005)),
        ("dog", (0.0, 0.0, 1.0, 1.0)),
    ]
    assert found[0].split == "train"


@pytest.mark.parametrize(
    "suffix", ["<loc0102><loc0205> cat", "<loc9999><loc0000><loc0001><loc0002> cat", "a cat"]
)
def test_places_that_are_no_boxes_are_told(tmp_path: Path, suffix: str) -> None:
    folder(tmp_path, {"a.jsonl": lines([roboflow("detect cat", suffix)]), "1.png": png(1)})
    found, problems, _ = brought(tmp_path)
    assert not found and "its suffix has boxes that cannot be read" in problems[0].reason


# --- COCO -------------------------------------------------------------------------------


def coco(names: list[str], boxed: list[tuple[int, int, list[float]]], images: int = 2) -> dict[str, Any]:
    return {
        "info": {"year": 2026},
        "licenses": [],
        "annotations": [
            {"id": n, "image_id": on, "category_id": name, "bbox": box, "iscrowd": 0}
            for n, (on, name, box) in enumerate(boxed)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "images": [{"id": n, "file_name": f"{n}.png", "width": 200, "height": 100} for n in range(images)],
    }


def test_coco_asks_for_all_categories_and_for_one_of_them_in_turn(tmp_path: Path) -> None:
    data = coco(["dog", "cat"], [(0, 1, [20, 10, 80, 40]), (0, 0, [0, 0, 200, 100]), (0, 1, [0, 0, 20, 10])])
    files = {"val/_annotations.coco.json": json.dumps(data), "val/0.png": png(0), "val/1.png": png(1)}
    found, problems, notes = brought(zipped(tmp_path / "a.zip", files))
    assert not problems
    assert "COCO detection. Its boxes are read as pixels, as the format has them." in notes
    asked = [(row.row, row.example.query, row.example.text) for row in found]
    assert asked == [(1, "cat, dog", "cat, cat, dog"), (1, "dog", "dog"), (2, "cat, dog", ""), (2, "cat", "")]
    assert boxes(found[0].example.regions)[0] == ("cat", (0.1, 0.1, 0.5, 0.5))
    assert {row.split for row in found} == {"valid"}


def test_coco_with_one_category_asks_once(tmp_path: Path) -> None:
    data = coco(["heart"], [(0, 0, [20, 10, 80, 40])])
    files = {"a.json": json.dumps(data), "0.png": png(0), "1.png": png(1)}
    found, _, _ = brought(folder(tmp_path, files))
    assert [(row.example.query, row.example.text) for row in found] == [("heart", "heart"), ("heart", "")]


def test_coco_with_many_categories_asks_for_what_is_there_and_for_one_that_is_not(tmp_path: Path) -> None:
    names = [f"thing {n:02}" for n in range(30)]
    on = [(0, n, [20.0, 10.0, 80.0, 40.0]) for n in range(30)]
    data = coco(names, [*on, (1, 7, [0, 0, 20, 10]), (1, 3, [0, 0, 20, 10])])
    files = {"a.json": json.dumps(data, indent=2), "0.png": png(0), "1.png": png(1)}
    found, _, _ = brought(folder(tmp_path, files))
    second = [(row.example.query, row.example.text) for row in found if row.row == 2]
    assert second == [("thing 07", "thing 07"), ("thing 03", "thing 03"), ("thing 02", "")]


def test_coco_that_does_not_fit_together_is_told_picture_by_picture(tmp_path: Path) -> None:
    data = coco(["cat"], [(0, 0, [150, 10, 80, 40]), (1, 5, [0, 0, 9, 9]), (2, 0, [0, 0, 9, 9])], images=5)
    data["annotations"] += [{"id": 9, "image_id": 77, "category_id": 0, "bbox": [0, 0, 9, 9]}, 3]
    data["images"][3] |= {"width": 100, "height": 200}
    data["annotations"].append({"id": 10, "image_id": 3, "category_id": 0, "bbox": [0, 0, 9, 9]})
    files = {"a.json": json.dumps(data), **{f"{n}.png": png(n) for n in (0, 1, 3, 4)}}
    found, problems, _ = brought(folder(tmp_path, files))
    told = {(one.row, one.reason) for one in problems}
    assert [row.row for row in found] == [5]
    assert (2, "annotation 2 names a category that is not there") in told
    assert (3, "its picture “2.png” is not there") in told
    assert (0, "entry 5 of 'annotations' is no object") in told
    assert (0, "1 annotations, from the 4. on, name an image that is not there") in told
    reasons = " ".join(one.reason for one in problems)
    assert "(150, 10, 230, 50), read as pixels, reaches beyond its picture of 200 × 100 pixels" in reasons
    assert "200 × 100 pixels, where the file says 100 × 200; it is turned by its EXIF data" in reasons


def test_coco_captions_and_crowds(tmp_path: Path) -> None:
    data = coco(["cat"], [(0, 0, [0, 0, 9, 9]), (0, 0, [0, 0, 99, 99])])
    data["annotations"][1]["iscrowd"] = 1
    found, _, _ = brought(
        folder(tmp_path / "a", {"a.json": json.dumps(data), "0.png": png(), "1.png": png(1)})
    )
    assert found[0].example.note == "left out: 1 box around a crowd" and len(found[0].example.regions) == 1
    data["annotations"] = [
        {"id": 1, "image_id": 0, "caption": "A cat."},
        {"id": 2, "image_id": 0, "caption": "Cat!"},
    ]
    data["images"] = data["images"][:1]
    found, _, _ = brought(folder(tmp_path / "b", {"a.json": json.dumps(data), "0.png": png()}))
    assert [(row.example.task, row.example.text) for row in found] == [
        (Task.CAPTION, "A cat."),
        (Task.CAPTION, "Cat!"),
    ]


# --- units of boxes ---------------------------------------------------------------------


def tabled(
    path: Path, values: list[tuple[float, float, float, float]], size: tuple[int, int] = (200, 100)
) -> Path:
    table = "image,query,label,x0,y0,x1,y1\n" + "".join(
        f"{n}.png,cat,cat,{','.join(map(str, box))}\n" for n, box in enumerate(values)
    )
    return folder(path, {"a.csv": table, **{f"{n}.png": png(n, size) for n in range(len(values))}})


@pytest.mark.parametrize(
    ("values", "space", "first"),
    [
        ([(0.1, 0.1, 0.5, 0.5), (0, 0, 1, 1)], Space.FRACTIONS, (0.1, 0.1, 0.5, 0.5)),
        ([(20, 10, 100, 50), (0, 0, 1, 1)], Space.PIXELS, (0.1, 0.1, 0.5, 0.5)),
        ([(100, 100, 500, 500), (0, 0, 1000, 1000)], Space.THOUSANDTHS, (0.1, 0.1, 0.5, 0.5)),
    ],
)
def test_units_are_found_for_the_whole_file_and_told(
    tmp_path: Path, values: Any, space: Space, first: Any
) -> None:
    found, problems, notes = brought(tabled(tmp_path, values))
    assert not problems and f"Its boxes are read as {space}: " in notes
    assert boxes(found[0].example.regions) == [("cat", first)]


def test_one_box_outside_does_not_change_the_units_of_all(tmp_path: Path) -> None:
    values: list[Any] = [(20, 10, 100, 50 + n % 9) for n in range(40)]
    values[7] = (20, 10, 900, 50)
    found, problems, notes = brought(tabled(tmp_path, values))
    assert "read as pixels" in notes and len(found) == 39
    assert [one.row for one in problems] == [9] and "reaches beyond its picture" in problems[0].reason


def test_units_are_what_a_person_says(tmp_path: Path) -> None:
    path = tabled(tmp_path, [(20, 10, 100, 50)])
    found, _, notes = brought(path, space=Space.THOUSANDTHS)
    assert "read as 0..1000, as you said" in notes
    assert boxes(found[0].example.regions) == [("cat", (0.02, 0.01, 0.1, 0.05))]


def test_large_pictures_whose_boxes_stay_below_1000_are_in_thousandths(tmp_path: Path) -> None:
    values: list[Any] = [(20, 10, 900, 990) for _ in range(25)]
    _, problems, notes = brought(tabled(tmp_path, values, (1200, 1100)))
    assert not problems and "no value is above 1000, though the pictures are larger" in notes


def test_a_box_a_pixel_over_the_edge_is_cut_off_there(tmp_path: Path) -> None:
    found, problems, _ = brought(tabled(tmp_path, [(0, 0, 201, 100), (-1, 0, 20, 10)]))
    assert not problems and boxes(found[0].example.regions) == [("cat", (0.0, 0.0, 1.0, 1.0))]
