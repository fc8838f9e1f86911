"""Values of a row that somebody wrote, checked: what is none of them is a `BadRow`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from vlm_app.finetune.uploads.rows import BadRow
from vlm_app.finetune.uploads.spaces import Corners

Record = Mapping[str, Any]

PICTURES = ("image", "images", "file_name", "file_names", "filename", "image_path", "picture")
_BYTES, _PATHS = ("bytes", "base64"), ("path", "url", "image_url", "image", "file_name")


def words(value: Any, what: str) -> str:
    """A text; nothing and numbers are texts, too."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadRow(f"its {what} is no text")
    return str(value)


def first(record: Record, names: tuple[str, ...]) -> Any:
    """The value of the first key that is there and holds something, or None."""
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def pictures(record: Record) -> tuple[str, ...]:
    """The pictures of a row, as names of files or data URIs."""
    found = first(record, PICTURES)
    if found is None:
        return ()
    return tuple(picture(one) for one in found) if isinstance(found, list) else (picture(found),)


def picture(value: Any) -> str:
    """One picture: text, or an object that holds its bytes, or its path."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        held = first(value, _BYTES)
        named = first(value, _PATHS) if held is None else held
        if isinstance(named, str | Mapping):
            return picture(named)
    raise BadRow("its picture is neither the name of a file nor a data URI")


def corners(value: Any, sized: bool = False) -> Corners:
    """A box of four numbers; with `sized` they are left, top, width and height."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise BadRow("a box has four numbers")
    left, top, right, low = (number(one) for one in value)
    return (left, top, left + right, top + low) if sized else (left, top, right, low)


def number(value: Any) -> float:
    """A finite number, also one that is written as text."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise BadRow(f"a box holds numbers, found {str(value)[:40]!r}")
    return found


def entries(value: Any, what: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise BadRow(f"its {what} is no list")
    return value


def record(value: Any, what: str) -> Record:
    """An object."""
    if not isinstance(value, Mapping):
        raise BadRow(f"its {what} is no object")
    return value
