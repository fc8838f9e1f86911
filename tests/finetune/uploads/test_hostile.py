"""Datasets that are broken, or made to do harm: a sentence, and nothing outside of the data folder."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path

import pytest

from tests.finetune.uploads.bringing import brought, folder, lines, png, zipped
from tests.finetune.uploads.refused import nothing_is_left, row
from vlm_app.errors import BadInput
from vlm_app.finetune.uploads.streamed_json import JsonStream

__all__ = ["nothing_is_left"]


# --- pictures that are none of its own --------------------------------------------------


def test_pictures_outside_of_the_dataset_are_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(9))
    root = tmp_path / "set"
    names = [
        str(secret),
        "../secret.png",
        "a/../../secret.png",
        "..\\secret.png",
        "C:\\secret.png",
        "link.png",
    ]
    names += ["links/secret.png", f"file://{secret}", "", "\0", "pipe", "x" * 5000, "/dev/zero", "folder"]
    folder(
        root, {"a.jsonl": lines([row(n, name) for n, name in enumerate(names)] + [row(99)]), "folder/x": "x"}
    )
    (root / "link.png").symlink_to(secret)
    (root / "links").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(root / "pipe")
    found, problems, _ = brought(root)
    assert [one.example.text for one in found] == ["Square 99."]
    assert [one.row for one in problems] == list(range(1, len(names) + 1))
    told = "\n".join(one.reason for one in problems)
    for words in ("absolute path", "without '..'", "leads out", "an address", "not there", "a device"):
        assert words in told


def test_a_file_alone_does_not_see_what_lies_beside_it(tmp_path: Path) -> None:
    folder(tmp_path / "set", {"a.jsonl": lines([row(1, "a.png"), row(2)]), "a.png": png(1)})
    found, problems, _ = brought(tmp_path / "set" / "a.jsonl")
    assert len(found) == 1 and "did not come along: give a zip or folder" in problems[0].reason


def test_links_to_tables_are_not_followed(tmp_path: Path) -> None:
    folder(tmp_path, {"other/a.jsonl": lines([row()]), "set/b.jsonl": lines([row(2)])})
    (tmp_path / "set" / "a.jsonl").symlink_to(tmp_path / "other" / "a.jsonl")
    found, _, _ = brought(tmp_path / "set")
    assert [one.file for one in found] == ["b.jsonl"]


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", "none"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is a file, a zip or a folder, found"):
        brought(tmp_path / path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(BadInput, match="is empty"):
        brought(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n", png(1)[:200], b"GIF89a" + b"\0" * 50, os.urandom(3000)]
)
def test_broken_pictures_are_told_row_by_row(tmp_path: Path, data: bytes) -> None:
    files: dict[str, bytes | str] = {"a.jsonl": lines([row(1, "bad.png"), row(2)]), "bad.png": data}
    found, problems, _ = brought(zipped(tmp_path / "a.zip", files))
    assert len(found) == 1 and problems[0].row == 1 and "its picture: “bad.png” is" in problems[0].reason


# --- JSON and tables --------------------------------------------------------------------


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_json_nested_ten_thousand_deep_is_one_bad_row(tmp_path: Path, opening: str) -> None:
    deep = opening * 10_000
    folder(tmp_path, {"a.jsonl": lines([row(1)]) + deep.encode() + b"\n" + lines([row(2)])})
    found, problems, _ = brought(tmp_path / "a.jsonl")
    assert len(found) == 2 and [one.row for one in problems] == [2]
    folder(tmp_path, {"a.json": json.dumps([row(1)])[:-1] + ", " + deep})
    found, problems, _ = brought(tmp_path / "a.json")
    assert len(found) == 1 and "nothing after it can be read" in problems[0].reason
    folder(tmp_path, {"b.json": '{"images": ' + deep})
    with pytest.raises(BadInput, match="no known format"):
        brought(tmp_path / "b.json")


@pytest.mark.parametrize("cut", [3, 50, 300])
def test_a_file_that_ends_in_the_middle_of_a_row_keeps_the_others(tmp_path: Path, cut: int) -> None:
    whole = lines([row(1), row(2), row(3)])
    folder(tmp_path, {"a.jsonl": whole[:-cut], "b/a.json": json.dumps([row(4), row(5), row(6)])[:-cut]})
    found, problems, _ = brought(tmp_path)
    assert [one.example.text for one in found] == ["Square 1.", "Square 2.", "Square 4.", "Square 5."]
    assert [(one.file, one.row) for one in problems] == [("a.jsonl", 3), ("b/a.json", 3)]
    assert all("the file ends in the middle of a row" in one.reason for one in problems)


def test_a_cut_table_and_a_cut_coco_file_keep_what_is_whole(tmp_path: Path) -> None:
    table = 'image,query,answer\na.png,What?,A.\na.png,"What'
    coco = {
        "images": [{"id": 0, "file_name": "a.png"}],
        "categories": [{"id": 0, "name": "cat"}],
        "annotations": [
            {"id": n, "image_id": 0, "category_id": 0, "bbox": [0, 0, 9, n + 9]} for n in range(3)
        ],
    }
    files = {"a.csv": table, "b.json": json.dumps(coco)[:-30], "a.png": png()}
    found, problems, _ = brought(folder(tmp_path / "set", files))
    assert [(one.file, one.row) for one in found] == [("a.csv", 2), ("b.json", 1)]
    assert [(one.file, one.row) for one in problems] == [("a.csv", 3), ("b.json", 0)]


def test_rows_that_are_too_long_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vlm_app.finetune.uploads import records, streamed_json

    monkeypatch.setattr(records, "LONGEST_ROW", 5_000)
    monkeypatch.setattr(streamed_json, "LONGEST_ROW", 5_000)
    long = {"messages": "x" * 2_000_000}
    folder(
        tmp_path, {"a.jsonl": lines([row(1), long, row(2)]), "b/b.json": json.dumps([row(3), long, row(4)])}
    )
    found, problems, _ = brought(tmp_path)
    assert [one.example.text for one in found][:2] == ["Square 1.", "Square 2."]
    assert [(one.file, one.row) for one in problems] == [("a.jsonl", 2), ("b/b.json", 2)]
    assert all("it is longer than" in one.reason for one in problems)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe{}",
        b"{'a': 1}",
        b'{"messages": NaN}',
        b"null",
        b"[]",
        b'{"messages": ' + b"9" * 5000 + b"}",
        b"{}",
    ],
)
def test_lines_of_anything_are_problems_of_their_row(tmp_path: Path, line: bytes) -> None:
    folder(tmp_path, {"a.jsonl": lines([row(1)]) + line + b"\n" + lines([row(2)])})
    found, problems, _ = brought(tmp_path / "a.jsonl")
    assert len(found) == 2 and [one.row for one in problems] == [2]


def test_a_table_with_huge_cells_and_lines_keeps_its_other_rows(tmp_path: Path) -> None:
    table = (
        f"image,query,answer\na.png,What?,A.\na.png,{'x' * 200_000},A.\na.png,What?,B.\na.png,What?,\xe4\n"
    )
    files = {"a.csv": table.encode("latin-1") + b"a,b,c,d\n" + b"y" * 3_000_000, "a.png": png()}
    found, problems, _ = brought(folder(tmp_path / "set", files))
    assert [one.row for one in found] == [2, 4]
    assert [one.row for one in problems] == [3, 5, 6, 7]
    told = " ".join(one.reason for one in problems)
    for words in ("field larger", "is not UTF-8", "4 cells under 3 headings", "nothing after it can be read"):
        assert words in told


def test_json_in_pieces_is_the_json_in_one() -> None:
    class Slow(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            return super().read(min(count or 7, 7) if count != -1 else -1)

    values = [
        1,
        -2.5e3,
        1234567890123,
        'ä€😀 \\ "',
        None,
        True,
        [],
        {},
        {"a": [1, {"b": "c" * 50}]},
    ]
    data = json.dumps(values, ensure_ascii=False, indent=1).encode()
    assert list(JsonStream(Slow(data)).elements()) == values
    stream = JsonStream(Slow(b' {"a": 12, "b": [1, 22, 333], "c": 4}'))
    assert {key: stream.value() for key in stream.members()} == {"a": 12, "b": [1, 22, 333], "c": 4}


# --- parquet ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    columns = {"image": [png(n) for n in range(20)], "question": ["What?"] * 20, "answer": ["A."] * 20}
    pq.write_table(pa.table(columns), path, row_group_size=10)
    return path.read_bytes()


def test_a_parquet_file_that_lies_is_told_and_ends(tmp_path: Path, parquet: bytes) -> None:
    dice = random.Random(3)
    foot = int.from_bytes(parquet[-8:-4], "little") + 8
    lies = [parquet[: len(parquet) // 2], parquet[:4], b"PAR1" + b"\xff" * 20 + b"PAR1"]
    for _ in range(4):
        data = bytearray(parquet)
        for _ in range(6):  # sizes and places stand in the foot
            data[len(data) - dice.randrange(9, foot)] = dice.randrange(256)
        lies.append(bytes(data))
    for number, data in enumerate(lies):
        (tmp_path / "a.parquet").write_bytes(data)
        try:
            found, problems, _ = brought(tmp_path / "a.parquet")
        except BadInput as error:
            assert error.sentence.startswith("“a.parquet” is of no known format ("), number
            assert error.sentence.isprintable(), number
        else:
            assert (len(found) <= 20 and len(found) + len(problems) >= 20) or problems, number


def test_a_parquet_file_that_needs_too_much_memory_or_time_costs_its_own_process_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from vlm_app.finetune.uploads import parquet

    text = pa.array(["x" * 50_000_000] * 8)  # well packed: the file is small
    pq.write_table(
        pa.table({"image": ["a.png"] * 8, "text": text}), tmp_path / "a.parquet", use_dictionary=False
    )
    monkeypatch.setattr(parquet, "MEMORY", 600_000_000)
    with pytest.raises(BadInput, match=r"row 1: the file (needs more memory|is damaged)"):
        brought(tmp_path / "a.parquet")
    monkeypatch.setattr(parquet, "SECONDS", 0.05)
    with pytest.raises(BadInput, match="takes too long"):
        brought(tmp_path / "a.parquet")
