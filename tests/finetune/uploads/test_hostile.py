"""Datasets that are broken, or made to do harm: a sentence, and nothing outside of the data folder."""

from __future__ import annotations

import io
import json
import os
import random
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest

from tests.finetune.uploads.bringing import brought, folder, lines, png, uri, written_below, zipped
from vlm_app.errors import BadInput
from vlm_app.finetune.uploads import archive, read_dataset, sweep
from vlm_app.finetune.uploads.streamed_json import JsonStream
from vlm_app.finetune.uploads.workroom import workroom, workrooms


def row(number: int = 1, picture: str | None = None) -> dict[str, Any]:
    parts = [
        {"type": "image_url", "image_url": {"url": uri(number) if picture is None else picture}},
        {"type": "text", "text": "What?"},
    ]
    return {
        "messages": [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": f"Square {number}."},
        ]
    }


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever happens, what was unpacked is gone afterwards, and nothing else was written."""
    before: set[str] = set()
    yield
    left = {name for name in written_below(tmp_path) - before if name.startswith("data/")}
    assert left <= {"data/cache", "data/cache/datasets", "data/cache/datasets/.lock"}


# --- pictures that are none of its own ----------------------------------------------------


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


# --- zips ---------------------------------------------------------------------------------


def member(name: str, mode: int) -> ZipInfo:
    info = ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def test_a_zip_writes_nothing_outside_and_no_links(tmp_path: Path) -> None:
    canary = tmp_path / "canary.txt"
    canary.write_text("alive")
    path = tmp_path / "bad.zip"
    deep = "../" * 12
    with ZipFile(path, "w") as file:
        for name in (
            "../canary.txt",
            f"{deep}{str(canary)[1:]}",
            str(canary),
            "..\\canary.txt",
            "C:\\canary.txt",
        ):
            file.writestr(name, "dead")
        file.writestr(member("link", stat.S_IFLNK | 0o777), str(canary))
        file.writestr("link/canary.txt", "dead")
        file.writestr(member("device.png", stat.S_IFCHR | 0o666), "")
        file.writestr(member("a.jsonl", stat.S_IFREG | 0o4755), lines([row(1, "link"), row(2)]))
        file.writestr("x" * 300 + ".png", "long")
        file.writestr("inner.zip", zipped(tmp_path / "inner.zip", {"a.png": png()}).read_bytes())
        file.writestr("__MACOSX/._a.jsonl", "\0")
    before = written_below(tmp_path)
    found, problems, _ = brought(path)
    assert canary.read_text() == "alive"
    assert written_below(tmp_path) - before <= {
        "data",
        "data/cache",
        "data/cache/datasets",
        "data/cache/datasets/.lock",
    }
    assert len(found) == 1
    told = [one.reason for one in problems]
    assert sum("leads out of the zip" in one for one in told) == 2
    assert sum("absolute path or one of Windows" in one for one in told) == 3
    for words in ("is a link", "is a device", "at most 200 bytes", "a zip within the zip"):
        assert any(words in one for one in told), words
    assert not any("MACOSX" in one for one in told)


def test_the_same_name_twice_is_the_first_and_no_file_becomes_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a.jsonl", lines([row(1)]))
        file.writestr("a.jsonl", lines([row(2), row(3)]))
        file.writestr("a.jsonl/b.jsonl", lines([row(4)]))
    found, problems, _ = brought(path)
    assert [one.example.text for one in found] == ["Square 1."]
    assert "is there twice" in problems[0].reason and "a file and a folder" in problems[1].reason


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        for number in range(3):
            with file.open(f"{number}.json", "w") as entry:
                for _ in range(30):
                    entry.write(bytes(1 << 20))
    assert path.stat().st_size < 200_000
    with pytest.raises(BadInput, match=r"“bomb\.zip” would unpack to more than 50 MB, too much for its size"):
        brought(path)


def test_a_zip_that_lies_about_its_sizes_is_stopped_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ALWAYS", 1_000_000)
    monkeypatch.setattr(archive, "MOST_RATIO", 0)
    path = tmp_path / "liar.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        file.writestr("a.json", bytes(3_000_000))
    data = bytearray(path.read_bytes())
    for place in (22, data.rfind(b"PK\x01\x02") + 24):  # the two places of the unpacked size
        data[place : place + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    with pytest.raises(BadInput):
        brought(path)


def test_a_list_of_millions_of_files_is_refused_unread(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.png": png()})
    data = bytearray(path.read_bytes())
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 400_000_000)
    path.write_bytes(data)
    with pytest.raises(BadInput, match="more than 300,000 files"):
        brought(path)


def test_locked_and_rarely_packed_files_of_a_zip_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with ZipFile(path, "w") as file:
        file.writestr("a.jsonl", lines([row(1)]))
        file.writestr("b.jsonl", lines([row(2)]), ZIP_LZMA)
        file.writestr("c.jsonl", lines([row(3)]))
    data = bytearray(path.read_bytes())
    for start in (b"PK\x03\x04", b"PK\x01\x02"):
        place = data.rfind(start)
        data[place + (6 if start[2] == 3 else 8)] |= 1
    path.write_bytes(data)
    found, problems, _ = brought(path)
    assert len(found) == 1
    assert [("packed in a rare way" in one.reason, "password" in one.reason) for one in problems] == [
        (True, False),
        (False, True),
    ]


def test_a_damaged_zip_never_breaks_the_app(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"a.jsonl": lines([row(1), row(2)]), "b.csv": "image,query,answer\n"}
    whole = zipped(tmp_path / "a.zip", files).read_bytes()
    dice = random.Random(7)
    for _ in range(60):
        data = bytearray(whole[: dice.choice([len(whole), dice.randrange(5, len(whole))])])
        for _ in range(dice.randrange(12)):
            data[dice.randrange(4, len(data))] = dice.randrange(256)
        (tmp_path / "b.zip").write_bytes(data)
        try:
            brought(tmp_path / "b.zip")
        except BadInput as error:
            assert error.sentence.startswith("“b.zip” ")


# --- JSON and tables ----------------------------------------------------------------------


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


# --- parquet ------------------------------------------------------------------------------


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


# --- what is unpacked ---------------------------------------------------------------------


def test_what_was_unpacked_goes_when_nobody_reads_on(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jsonl": lines([row(n) for n in range(3)])})
    with read_dataset(path) as found:
        next(found)
        assert len(list(workrooms().glob("*/files/unpacked/a.jsonl"))) == 1
    assert not list(workrooms().glob("*/"))


def test_after_a_crash_the_next_start_clears_up_and_spares_what_is_in_use() -> None:
    code = (
        "import os\nfrom vlm_app.finetune.uploads.workroom import workroom\n"
        "with workroom() as room:\n    (room / 'large').write_bytes(bytes(1000))\n    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": "."}).returncode == 9
    assert len(list(workrooms().glob("*/files/large"))) == 1
    with workroom() as room:
        (room / "mine").touch()
        assert not list(workrooms().glob("*/files/large"))
        sweep()
        assert (room / "mine").exists()


def test_a_data_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BadInput, match="below the data folder, which cannot be written"):
        brought(zipped(tmp_path / "a.zip", {"a.jsonl": lines([row()])}))


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "a.zip", {"a.jsonl": lines([row()])})
    monkeypatch.setattr(archive, "free_bytes", lambda: archive.SPARE)
    with pytest.raises(BadInput, match="more than is free below the data folder"):
        brought(path)
    monkeypatch.setattr(archive, "free_bytes", lambda: 1 << 50)
    real: Callable[..., Any] = Path.open

    def full(self: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if mode == "xb":
            raise OSError(28, "No space left on device")
        return real(self, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BadInput, match="The disk of the data folder is full"):
        brought(path)
