"""What people bring, made in a folder: pictures, tables, zips."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from PIL import Image

from vlm_app.finetune.uploads import Problem, Reading, Row, Space, read_dataset
from vlm_app.types import Box, Region

WIDE, HIGH = 200, 100


def png(number: int = 0, size: tuple[int, int] = (WIDE, HIGH)) -> bytes:
    """A picture of its own for each number."""
    image = Image.new("RGB", size, (number * 37 % 256, number * 101 % 256, number * 59 % 256))
    left, top = number * 23 % (size[0] // 2), number * 17 % (size[1] // 2)
    image.paste((255, 255 - number % 200, 0), (left, top, left + size[0] // 3, top + size[1] // 3))
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def uri(number: int = 0) -> str:
    return "data:image/png;base64," + base64.b64encode(png(number)).decode()


def lines(rows: Iterable[Any]) -> bytes:
    """JSONL."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def folder(path: Path, files: dict[str, bytes | str]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def zipped(path: Path, files: dict[str, bytes | str]) -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def brought(path: Path, name: str = "", space: Space | None = None) -> tuple[list[Row], list[Problem], str]:
    """The rows, the problems, and what is said of how it was read."""
    with read_dataset(path, name, space=space) as found:
        both = list(found)
        assert isinstance(found, Reading)
        notes = "\n".join(found.notes)
    rows = [one for one in both if isinstance(one, Row)]
    return rows, [one for one in both if isinstance(one, Problem)], notes


def only(path: Path) -> Row:
    """The one row of a dataset without problems."""
    rows, problems, _ = brought(path)
    assert not problems and len(rows) == 1, (rows, problems)
    return rows[0]


def boxes(regions: Iterable[Region]) -> list[tuple[str, tuple[float, ...]]]:
    found = []
    for region in regions:
        assert isinstance(region.shape, Box)
        found.append((region.label, tuple(round(value, 4) for value in region.shape.xyxy)))
    return found


def written_below(path: Path) -> set[str]:
    """Every file and folder there."""
    return {one.relative_to(path).as_posix() for one in path.rglob("*")}
