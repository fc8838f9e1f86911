"""Rows of a file as plain data, one after the other, whatever the file is: JSONL, JSON, CSV or parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from vlm_app.finetune.uploads.parquet import is_parquet, parquet_rows
from vlm_app.finetune.uploads.rows import LONGEST_ROW, BadRow
from vlm_app.finetune.uploads.streamed_json import JsonStream

Record = dict[str, Any]
_HEAD = 1 << 20  # bytes of a file that are looked at to know what it is
_LONGEST_LINE = 1 << 20  # characters of a line of a table; a cell has at most an eighth of that
_COCO = {"images": {"id", "file_name"}, "annotations": {"id", "image_id"}, "categories": {"id", "name"}}


class Kind(StrEnum):
    """How a file is written."""

    LINES = "JSONL"
    LIST = "JSON"
    COCO = "COCO"
    TABLE = "CSV"
    PARQUET = "parquet"


def kind_of(path: Path) -> Kind | None:
    """What a file is, by what it holds; None where it is nothing that has rows."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if is_parquet(head):
        return Kind.PARQUET
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return Kind.LIST
    if text.startswith(b"{"):
        return Kind.COCO if _is_coco(path) else Kind.LINES
    return Kind.TABLE if _is_table(head) else None


def records(path: Path, kind: Kind) -> Iterator[tuple[int, Record | str]]:
    """The rows with their numbers from 1, or the reason why one cannot be read.

    A table counts its heading as row 1, as a spreadsheet does. COCO has no rows in this sense.
    """
    if kind is Kind.PARQUET:
        return parquet_rows(path)
    readers = {Kind.LINES: _lines, Kind.LIST: _elements, Kind.TABLE: _cells}
    return readers[kind](path)


# --- JSON ---------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[tuple[int, Record | str]]:
    with path.open("rb") as file:
        for number, line in enumerate(_bounded(file), start=1):
            if line is None:
                yield number, f"it is longer than {LONGEST_ROW / 1e6:.0f} MB"
            elif line.strip():
                yield number, _record(line)


def _bounded(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines of a file; None for one that is too long, whose rest is passed over."""
    while line := file.readline(LONGEST_ROW + 1):
        whole = len(line) <= LONGEST_ROW
        while not whole and line and not line.endswith(b"\n"):
            line = file.readline(1 << 20)
        yield line if whole else None


def _record(line: bytes) -> Record | str:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except RecursionError:
        return "it is nested too deep"
    except UnicodeDecodeError:
        return "it is not UTF-8: save the file as UTF-8"
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError):
            cut = not line.endswith(b"\n") and error.pos >= len(error.doc.rstrip()) - 1
            unended = not line.endswith(b"\n") and error.msg.startswith("Unterminated")
            return (
                "the file ends in the middle of a row" if cut or unended else f"it is no JSON ({error.msg})"
            )
        return f"it is no JSON ({error})"
    return value if isinstance(value, dict) else "it is no object of JSON"


def _elements(path: Path) -> Iterator[tuple[int, Record | str]]:
    number = 0
    with path.open("rb") as file:
        try:
            for number, value in enumerate(JsonStream(file).elements(), start=1):
                yield number, value if isinstance(value, dict) else "it is no object of JSON"
        except BadRow as error:
            yield number + 1, f"{error}; nothing after it can be read"


def _is_coco(path: Path) -> bool:
    """Whether an object is one of COCO's: known by the first elements of its lists."""
    try:
        with path.open("rb") as file:
            stream = JsonStream(file)
            for key in stream.members():
                if key in _COCO and stream.peek() == "[":
                    first = next(iter(stream.elements()), None)
                    return (
                        isinstance(first, dict) and bool(_COCO[key] & first.keys()) and "bytes" not in first
                    )
                if stream.peek() == "[" and key not in ("licenses", "videos"):
                    return False
                stream.skip()
    except BadRow:
        return False
    return False


# --- tables -------------------------------------------------------------------------------


def _is_table(head: bytes) -> bool:
    first = _text_of(head).partition("\n")[0]
    return any(mark in first for mark in ",;\t") and first.isprintable() | ("\t" in first)


def _text_of(head: bytes) -> str:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return head.decode(encoding, errors="replace").replace("\r", "\n")


def _cells(path: Path) -> Iterator[tuple[int, Record | str]]:
    with path.open("rb") as raw:
        head = raw.read(_HEAD)
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    first = _text_of(head).partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    with path.open(encoding=encoding, errors="surrogateescape", newline="") as file:
        reader = csv.reader(_short_lines(file), delimiter=delimiter)
        heading: list[str] | None = None
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, f"it is no row of a table ({error})"
                continue
            except BadRow as error:
                yield number, f"{error}; nothing after it can be read"
                return
            except UnicodeDecodeError:
                yield (
                    number,
                    "it is no whole UTF-16, and nothing after it can be read: save the table as UTF-8",
                )
                return
            if heading is None:
                heading = [cell.strip().casefold() for cell in cells]
            elif any(cell.strip() for cell in cells):
                yield number, _row(heading, cells)


def _short_lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        if len(line) >= _LONGEST_LINE:
            raise BadRow(f"a line is longer than {_LONGEST_LINE / 1e6:.0f} million characters")
        yield line


def _row(heading: list[str], cells: list[str]) -> Record | str:
    if any(0xDC80 <= ord(letter) <= 0xDCFF for cell in cells for letter in cell):
        return "it is not UTF-8: save the table as UTF-8"
    if len(cells) > len(heading):
        return f"it has {len(cells)} cells under {len(heading)} headings"
    return dict(zip(heading, cells, strict=False))


def read_all(rows: Iterator[tuple[int, Record | str]], most: int) -> list[tuple[int, Record | str]]:
    """The first rows; the file is closed afterwards."""
    with closing(rows) as open_rows:  # type: ignore[type-var]
        return [row for row, _ in zip(open_rows, range(most), strict=False)]
