"""Zips that are broken, or made to do harm: a sentence, and nothing outside of the data folder."""

from __future__ import annotations

import os
import random
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest

from tests.finetune.uploads.bringing import brought, lines, png, written_below, zipped
from tests.finetune.uploads.refused import nothing_is_left, row
from vlm_app.errors import BadInput
from vlm_app.finetune.uploads import archive, read_dataset, sweep
from vlm_app.finetune.uploads.workroom import workroom, workrooms

__all__ = ["nothing_is_left"]


# --- zips -------------------------------------------------------------------------------


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


# --- what is unpacked -------------------------------------------------------------------


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
