"""Each format that people bring becomes the examples that were meant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.uploads.bringing import boxes, brought, folder, lines, only, png, uri, zipped
from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Example, Reply, Source, example_to_dict
from vlm_app.finetune.uploads import Row, Space
from vlm_app.media import open_image
from vlm_app.types import Box, Region, Task

ROOT = Path(__file__).resolve().parents[3]


def said(*turns: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


# --- OpenAI messages ----------------------------------------------------------------------


def test_messages_with_a_picture_in_them_need_nothing_else(tmp_path: Path) -> None:
    row = said([image(uri(1)), text("What is it?")], "A square.")
    folder(tmp_path, {"chat.jsonl": lines([row])})
    found = only(tmp_path / "chat.jsonl")
    example = found.example
    assert (example.task, example.query, example.text) == (Task.CHAT, "What is it?", "A square.")
    assert example.source is Source.UPLOAD and example.pictures == (open_image(png(1)),)
    assert found.origin == "chat.jsonl, row 1"


def test_messages_name_pictures_of_their_zip(tmp_path: Path) -> None:
    rows = [
        said([text("Which?"), image("images/a.png"), image("images/b.png")], [text("The second.")]),
        said("<image>\nWhat?", "A square.") | {"images": ["images/a.png"]},
        said("What?", "A thing.") | {"images": [{"path": "images/b.png"}]},
        {**said("Compare <image> with <image>.", "Alike."), "images": ["images/a.png", "images/b.png"]},
    ]
    files = {"top/train.jsonl": lines(rows), "top/images/a.png": png(1), "top/images/b.png": png(2)}
    found, problems, notes = brought(zipped(tmp_path / "set.zip", files), "set.zip")
    assert not problems and notes == "top/train.jsonl: OpenAI messages as JSONL."
    assert [row.example.query for row in found] == [
        "Which?",
        "What?",
        "What?",
        "Compare image 1 with image 2.",
    ]
    assert [len(row.example.pictures) for row in found] == [2, 1, 1, 2]
    assert {row.split for row in found} == {"train"} and found[3].origin == "top/train.jsonl, row 4"


def test_of_several_exchanges_the_last_is_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    row = said([image(uri(1)), text("What?")], "A square.", "And its colour?", "Red.")
    row["messages"].insert(0, {"role": "system", "content": "Be brief."})
    example = only(folder(tmp_path, {"a.jsonl": lines([row])})).example
    assert (example.query, example.text) == ("And its colour?", "Red.")
    assert example.note == "left out: 1 earlier exchange and the words of the system"
    assert len(example.pictures) == 1


def test_a_rejected_answer_comes_along(tmp_path: Path) -> None:
    row = said([image(uri(1)), text("What?")], "A square.") | {"rejected_response": "A cat."}
    assert only(folder(tmp_path, {"a.jsonl": lines([row])})).example.rejected == Reply("A cat.")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (said("What?", "A square."), "it has no picture"),
        (said("<image> What?", "A.") | {"images": []}, "it has 0 pictures and 1 place for one (<image>)"),
        (said("<image><image> What?", "A.") | {"images": [uri()]}, "it has 1 picture and 2 places"),
        (said([image(uri()), text("What?")]), "a chat ends with a question and its answer"),
        (said([image(uri()), text("What?")], " "), "its answer is empty"),
        (said([image(uri()), text(" ")], "A."), "its question is empty"),
        (said([image(uri()), text("x" * 20_001)], "A."), "has 20,001 characters, where at most 20,000"),
        (said([{"type": "video", "video": "a.mp4"}], "A."), "text and pictures, found 'video'"),
        ({"messages": "What?"}, "its 'messages' is no list"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "found 'wizard'"),
        (said([image("data:image/png;base64,AAAA"), text("What?")], "A."), "its picture: The image is not"),
        (said([image("https://a.example/b.png"), text("What?")], "A."), "an address, which is not fetched"),
    ],
)
def test_a_chat_that_cannot_be_used_says_why(tmp_path: Path, row: Any, reason: str) -> None:
    good = said([image(uri(3)), text("What?")], "A square.")
    folder(tmp_path, {"a.jsonl": lines([good, row, good | {"id": 2}])})
    found, problems, _ = brought(tmp_path / "a.jsonl")
    assert len(found) == 2 and [(one.file, one.row) for one in problems] == [("a.jsonl", 2)]
    assert reason in problems[0].reason and problems[0].sentence.startswith("a.jsonl, row 2: ")


# --- LLaVA, ShareGPT, The Cauldron --------------------------------------------------------


def talked(*turns: str, **more: Any) -> dict[str, Any]:
    names = ("human", "gpt")
    return {"conversations": [{"from": names[n % 2], "value": one} for n, one in enumerate(turns)], **more}


@pytest.mark.parametrize("name", ["llava.json", "llava.jsonl"])
def test_conversations_of_llava_come_as_json_and_as_jsonl(tmp_path: Path, name: str) -> None:
    rows = [
        talked("<image>\nWhat?", "A square.", id=1, image="coco/a.png"),
        talked("What?\n<image>", "A.", "Sure?", "Yes.", images=["coco/a.png"]),
    ]
    data = json.dumps(rows, indent=1) if name.endswith(".json") else lines(rows)
    folder(tmp_path, {name: data, "coco/a.png": png(1)})
    found, problems, notes = brought(tmp_path)
    assert not problems and "LLaVA or ShareGPT conversations as JSON" in notes
    told = [(one.example.query, one.example.text, one.example.note) for one in found]
    assert told == [("What?", "A square.", ""), ("Sure?", "Yes.", "left out: 1 earlier exchange")]


def test_a_picture_without_its_place_in_a_conversation_is_told(tmp_path: Path) -> None:
    rows = [talked("What?", "A square.", image=uri(1))]
    folder(tmp_path, {"a.json": json.dumps(rows)})
    _, problems, _ = brought(tmp_path)
    assert problems[0].reason == "it has 1 picture and 0 places for one (<image>)"


# --- ms-swift's boxes ---------------------------------------------------------------------


def test_boxes_of_ms_swift_are_read_from_objects(tmp_path: Path) -> None:
    rows = [
        said("<image>Find <ref-object>", "<bbox>")
        | {"images": [uri(1)], "objects": {"ref": ["a cat"], "bbox": [[20, 10, 100, 50]]}},
        said("<image>Detect all", "<ref-object><bbox>, <ref-object><bbox>")
        | {
            "images": [uri(2)],
            "objects": {"ref": ["cat", "dog"], "bbox": [[20, 10, 100, 50], [0, 0, 20, 10]]},
        },
        said("<image>Tell", "There is <ref-object><bbox> on a sofa.")
        | {
            "images": [uri(3)],
            "objects": {"ref": ["a cat"], "bbox": [[0.1, 0.1, 0.5, 0.5]], "bbox_type": "norm1"},
        },
    ]
    found, problems, _ = brought(folder(tmp_path, {"a.jsonl": lines(rows)}))
    assert not problems
    ground, detect, chat = (one.example for one in found)
    assert (ground.task, ground.query) == (Task.GROUND, "a cat")
    assert boxes(ground.regions) == [("a cat", (0.1, 0.1, 0.5, 0.5))]
    assert (detect.task, detect.query, detect.text) == (Task.DETECT, "cat, dog", "cat, dog")
    assert boxes(detect.regions)[1] == ("dog", (0.0, 0.0, 0.1, 0.1))
    assert (chat.task, chat.text) == (Task.CHAT, "There is a cat on a sofa.")
    assert chat.regions[0].span == (9, 14)


def test_ms_swift_has_as_many_boxes_as_places(tmp_path: Path) -> None:
    row = said("<image>Find <ref-object>", "<bbox><bbox>")
    row |= {"images": [uri(1)], "objects": {"ref": ["a"], "bbox": [[0, 0, 9, 9]]}}
    _, problems, _ = brought(folder(tmp_path, {"a.jsonl": lines([row])}))
    assert "1 names and 1 boxes, found 1 <ref-object> and 2 <bbox>" in problems[0].reason


# --- Roboflow -----------------------------------------------------------------------------


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


# --- COCO ---------------------------------------------------------------------------------


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


# --- a zip of pictures with a table -------------------------------------------------------


def test_a_table_asks_and_answers(tmp_path: Path) -> None:
    table = (
        "Image;Task;Query;Answer\n"
        'a.png;chat;"What; is it?";"A ""square"""\n'
        "a.png;count;square;1\n"
        "b.png;caption;;A thing.\n"
    )
    found, problems, _ = brought(
        zipped(tmp_path / "a.zip", {"a.csv": table, "a.png": png(1), "b.png": png(2)})
    )
    assert not problems
    assert [(row.row, row.example.task.value, row.example.query, row.example.text) for row in found] == [
        (2, "chat", "What; is it?", 'A "square"'),
        (3, "count", "square", "1"),
        (4, "caption", "", "A thing."),
    ]


def test_rows_with_a_box_each_become_one_example_of_each_picture(tmp_path: Path) -> None:
    table = (
        "image,task,query,label,x0,y0,x1,y1\n"
        "a.png,detect,all,cat,20,10,100,50\n"
        "b.png,detect,all,,,,,\n"
        "a.png,detect,all,dog,0,0,200,100\n"
    )
    found, problems, notes = brought(
        zipped(tmp_path / "a.zip", {"a.csv": table, "a.png": png(1), "b.png": png(2)})
    )
    assert not problems and "a table of boxes as CSV" in notes
    assert [(row.example.query, row.example.text) for row in found] == [("all", "cat, dog"), ("all", "")]
    assert boxes(found[0].example.regions) == [("cat", (0.1, 0.1, 0.5, 0.5)), ("dog", (0.0, 0.0, 1.0, 1.0))]


def test_a_bad_box_takes_its_example_with_it(tmp_path: Path) -> None:
    rows = [
        "a.png,cat,20,10,100,50",
        "a.png,cat,20,10,oops,50",
        "b.png,cat,20,10,100,",
        "c.png,cat,9,9,5,5",
        "d.png,cat,,,,",
        "e.png,cat,1,1,9,9",
    ]
    table = "image,label,x0,y0,x1,y1\n" + "\n".join(rows)
    files: dict[str, bytes | str] = {f"{name}.png": png(n) for n, name in enumerate("abcde")}
    found, problems, _ = brought(zipped(tmp_path / "a.zip", {"a.csv": table, **files}))
    assert [(row.row, row.example.text) for row in found] == [(7, "cat")]
    assert [(one.row, one.reason) for one in problems] == [
        (2, "a box holds numbers, found 'oops'"),
        (4, "a box has four numbers"),
        (5, "the box of “cat” (9, 9, 5, 5) has no area: expected left, top, right and bottom"),
        (6, "it has a label without a box"),
    ]


def test_formulas_in_a_table_are_words(tmp_path: Path) -> None:
    table = 'image,query,answer\na.png,"=HYPERLINK(""http://a.example"")",@SUM(1)\n'
    example = only(zipped(tmp_path / "a.zip", {"a.csv": table, "a.png": png()})).example
    assert (example.query, example.text) == ('=HYPERLINK("http://a.example")', "@SUM(1)")


def test_a_table_of_excel_in_utf_16_is_read(tmp_path: Path) -> None:
    table = "image\tquery\tanswer\r\na.png\tWas?\tKäse\r\n".encode("utf-16")
    assert only(zipped(tmp_path / "a.zip", {"a.csv": table, "a.png": png()})).example.text == "Käse"


# --- Hugging Face -------------------------------------------------------------------------


def test_an_image_folder_with_metadata(tmp_path: Path) -> None:
    rows = [{"file_name": "0.png", "objects": {"bbox": [[20, 10, 80, 40]], "categories": ["cat"]}}]
    files: dict[str, bytes | str] = {
        "train/metadata.csv": "file_name,text\n0.png,A cat.\n",
        "train/0.png": png(0),
        "validation/metadata.jsonl": lines(rows),
        "validation/0.png": png(1),
        "dataset_infos.json": "{}",
        "README.md": "# A dataset",
    }
    found, problems, _ = brought(folder(tmp_path, files))
    assert not problems
    assert [(row.split, row.example.task.value, row.example.text) for row in found] == [
        ("train", "caption", "A cat."),
        ("valid", "detect", "cat"),
    ]
    assert boxes(found[1].example.regions) == [("cat", (0.1, 0.1, 0.5, 0.5))]
    assert found[1].example.pictures == (open_image(png(1)),)  # the one beside its table


def test_parquet_with_pictures_in_it_and_numbers_for_its_classes(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    objects = pa.struct([("bbox", pa.list_(pa.list_(pa.float32()))), ("category", pa.list_(pa.int64()))])
    features = {
        "objects": {
            "feature": {"category": {"names": ["cat", "dog"], "_type": "ClassLabel"}},
            "_type": "Sequence",
        }
    }
    rows = [
        {
            "image": {"bytes": png(n), "path": None},
            "objects": {"bbox": [[20, 10, 80, 40]], "category": [n % 2]},
        }
        for n in range(10)
    ]
    schema = pa.schema(
        [("image", picture), ("objects", objects)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "data" / "test-00000-of-00001.parquet")
    found, problems, _ = brought(tmp_path)
    assert not problems and len(found) == 20
    assert (found[0].example.query, found[0].example.text) == ("cat, dog", "cat")
    assert found[-1].row == 10 and found[-1].split == "test" and found[-1].example.text == ""
    assert found[-2].example.pictures == (open_image(png(9)),)


def test_parquet_of_questions_and_of_the_cauldron(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"image": [png(1)], "question": ["What?"], "answer": ["A square."]}), tmp_path / "a.parquet"
    )
    texts = [[{"user": "What?", "assistant": "A."}, {"user": "Sure?", "assistant": "Yes."}]]
    pq.write_table(pa.table({"images": [[{"bytes": png(2)}]], "texts": texts}), tmp_path / "b.parquet")
    found, problems, notes = brought(tmp_path)
    assert not problems and "conversations of The Cauldron in parquet" in notes
    assert [(row.example.query, row.example.text) for row in found] == [
        ("What?", "A square."),
        ("Sure?", "Yes."),
    ]


# --- the app's own ------------------------------------------------------------------------


def test_examples_of_this_app_come_back_as_they_were(tmp_path: Path) -> None:
    picture = open_image(png(1))
    example = Example(
        (picture,),
        Task.DETECT,
        "cat",
        "cat",
        (Region("cat", Box(0.1, 0.2, 0.3, 0.4), span=(0, 3)),),
        Source.EDIT,
        rejected=Reply("dog"),
    )
    rows = [
        example_to_dict(example, ["images/a.png"]),
        example_to_dict(example, ["images/a.png"]) | {"version": 2},
    ]
    found, problems, _ = brought(folder(tmp_path, {"a.jsonl": lines(rows), "images/a.png": png(1)}))
    assert [row.example for row in found] == [example]
    assert problems[0].row == 2 and "version" in problems[0].reason


# --- units of boxes -----------------------------------------------------------------------


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


# --- what it is not -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.png": png()}, "has no file of rows"),
        ({"a.csv": "colour,size\nred,3\n"}, "its rows have 'colour', 'size', which is none of the formats"),
        ({"a.json": '{"a": [1]}'}, "its rows have 'a'"),
        ({"a.jsonl": "{broken\n"}, "row 1: it is no JSON"),
        ({"a.json": "[]"}, "it has no rows"),
        ({"a.csv": "image,query,answer\n"}, "it has no rows"),
        ({"a.json": "hello"}, "it is neither JSON nor a table"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is_taken(tmp_path: Path, files: Any, reason: str) -> None:
    with pytest.raises(BadInput) as error:
        brought(zipped(tmp_path / "a.zip", files), "my set.zip")
    assert error.value.sentence.startswith("“my set.zip” ") and reason in error.value.sentence
    for format in ("OpenAI messages", "LLaVA", "Roboflow", "COCO", "Hugging Face", "CSV"):
        assert format in error.value.sentence


def test_a_file_of_another_kind_beside_the_rows_is_told_and_left_out(tmp_path: Path) -> None:
    rows = [said([image(uri(1)), text("What?")], "A square.")]
    found, problems, _ = brought(folder(tmp_path, {"a.jsonl": lines(rows), "b.csv": "a,b\n1,2\n"}))
    assert len(found) == 1 and isinstance(found[0], Row)
    assert problems[0].file == "b.csv" and not problems[0].left_out


# --- docs/datasets.md ---------------------------------------------------------------------

SAMPLES = re.findall(
    r"```(json|csv)\n(.*?)```", (ROOT / "docs" / "datasets.md").read_text("utf-8"), re.DOTALL
)


@pytest.mark.parametrize(("kind", "sample"), SAMPLES)
def test_each_documented_sample_is_taken(tmp_path: Path, kind: str, sample: str) -> None:
    names = ("a.png", "b.png", "1.png", "images/a.png", "coco/a.png")
    folder(tmp_path, {f"a.{kind}": sample, **{name: png(n) for n, name in enumerate(names)}})
    found, problems, _ = brought(tmp_path)
    assert found and not problems


def test_every_format_has_a_sample() -> None:
    assert len(SAMPLES) == 10
