"""Each format that people bring becomes the examples that were meant."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.uploads.bringing import boxes, brought, folder, lines, only, png, uri, zipped
from tests.finetune.uploads.brought import image
from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Example, Reply, Source, example_to_dict
from vlm_app.finetune.uploads import Row
from vlm_app.media import open_image
from vlm_app.types import Box, Region, Task

ROOT = Path(__file__).resolve().parents[3]


def said(*turns: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


# --- OpenAI messages --------------------------------------------------------------------


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


# --- LLaVA, ShareGPT, The Cauldron ------------------------------------------------------


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


# --- ms-swift's boxes -------------------------------------------------------------------


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


# --- a zip of pictures with a table -----------------------------------------------------


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


def test_a_table_in_utf_16_that_is_cut_off_gives_its_rows_and_a_reason(tmp_path: Path) -> None:
    rows = "".join(f"a.png\tWas?\tKäse {number}\r\n" for number in range(2_000))
    table = f"image\tquery\tanswer\r\n{rows}".encode("utf-16")[:-1]
    found, problems, _ = brought(zipped(tmp_path / "a.zip", {"a.csv": table, "a.png": png()}))
    assert len(found) > 1_000 and problems[-1].reason.startswith("it is no whole UTF-16")


# --- Hugging Face -----------------------------------------------------------------------


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


# --- the app's own ----------------------------------------------------------------------


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


# --- what it is not ---------------------------------------------------------------------


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


# --- docs/datasets.md -------------------------------------------------------------------


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
