"""Label Studio's tasks, read back: what it exports as JSON, or what was written for it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from vlm_app.errors import BadInput
from vlm_app.grounding.formats import reading
from vlm_app.grounding.formats.bitmaps import empty_mask, from_runs, mask_at
from vlm_app.grounding.formats.brush import decoded
from vlm_app.grounding.formats.label_studio import TASKS
from vlm_app.grounding.formats.result import NAMELESS, Result, Source, unique, with_class
from vlm_app.types import Polygon, Region, Shape

LARGEST = 500_000_000  # bytes of the tasks in a zip; a small one can unfold to any size
_SHAPES = ("rectangle", "keypoint", "polygon", "brush")
_PER_CENT = (100.0, 100.0)

Part = Mapping[str, Any]


def read(data: bytes | str) -> Result:
    """The images of Label Studio's tasks and what was marked on them, as regions.

    Of a task the first annotation that was not cancelled counts; where nobody made one,
    the first prediction. A turned rectangle becomes a polygon. Ellipses, choices and
    relations are left out: they are no regions.

    Raises:
        BadInput: one sentence that names the task, the region and what is wrong with it.
    """
    tasks = reading.entries(reading.parsed(_tasks(data), "Label Studio"), "A Label Studio file")
    sources, model = [], ""
    marked: list[list[Part]] = []
    for number, value in enumerate(tasks, 1):
        task = reading.record(value, f"Label Studio's task {number}")
        version, parts = _chosen(task, f"Label Studio's task {number}")
        model = model or version
        sources.append(_source(task, parts, f"Label Studio's task {number}"))
        marked.append(parts)
    regions = reading.held(region for image, parts in enumerate(marked) for region in _regions(parts, image))
    names = unique(source.name for source in sources)
    renamed = (Source(name, source.size) for name, source in zip(names, sources, strict=True))
    return Result(tuple(renamed), regions, model=model)


def _tasks(data: bytes | str) -> bytes | str:
    """The JSON of a file, which may be the zip that `label_studio.write` makes."""
    if isinstance(data, str) or not data.startswith(b"PK"):
        return data
    try:
        with ZipFile(BytesIO(data)) as archive, archive.open(TASKS) as file:
            tasks = file.read(LARGEST + 1)
    except (BadZipFile, zlib.error, LookupError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"A zip for Label Studio holds '{TASKS}', found none that can be read.") from error
    if len(tasks) > LARGEST:
        raise BadInput(f"'{TASKS}' is at most {LARGEST / 1e6:,.0f} MB large, found more: divide it.")
    return tasks


def _chosen(task: Mapping[str, Any], where: str) -> tuple[str, list[Part]]:
    """The model's name, empty for a person's work, and the parts of the result that counts."""
    for key in ("annotations", "predictions"):
        for value in reading.entries(task.get(key) or [], f"{where}, '{key}',"):
            one = reading.record(value, f"{where}, '{key}',")
            if not one.get("was_cancelled"):
                parts = reading.entries(one.get("result"), f"{where}, 'result',")
                version = str(one.get("model_version") or "") if key == "predictions" else ""
                return version, [reading.record(part, f"{where}, 'result',") for part in parts]
    return "", []


def _source(task: Mapping[str, Any], parts: list[Part], where: str) -> Source:
    data = reading.record(task.get("data"), f"{where}, 'data',")
    sized = [part for part in parts if "original_width" in part]
    if not sized and "width" in data and "height" in data:
        sized = [{f"original_{key}": data[key] for key in ("width", "height")}]
    return Source(_name(data, where), _size(sized[0], where) if sized else (0, 0))


def _name(data: Mapping[str, Any], where: str) -> str:
    """The image's name; without one, the last part of its address, whatever its key is called."""
    if isinstance(data.get("name"), str):
        return str(data["name"])
    texts = (value for value in data.values() if isinstance(value, str))
    address = reading.words(data.get("image") or next(texts, ""), f"{where}, 'image',")
    return unquote(address.rpartition("?d=")[2].partition("?")[0])


def _size(part: Part, where: str) -> tuple[int, int]:
    width = reading.side(part.get("original_width"), f"{where}, 'original_width',")
    return width, reading.side(part.get("original_height"), f"{where}, 'original_height',")


def _regions(parts: list[Part], image: int) -> Iterator[Region]:
    """A region for each shape; its label and its text may be parts of their own with its id."""
    where = f"Label Studio's task {image + 1}"
    more: dict[str, dict[str, Any]] = {}
    for part in parts:
        if isinstance(part.get("id"), str) and isinstance(part.get("value"), Mapping):
            more.setdefault(part["id"], {}).update(part["value"])
    for number, part in enumerate(parts, 1):
        kind = str(part.get("type")).removesuffix("labels")
        if kind in _SHAPES:
            one = f"{where}, result {number},"
            value = reading.record(part.get("value"), one)
            known = {**more.get(str(part.get("id")), {}), **value}
            text, name = _text(known, one), _label(known, kind, one)
            score = reading.score(part.get("score"), f"{one} 'score',")
            region = Region(name, _shape(kind, value, part, one), image, text=text, score=score)
            yield with_class(region, name)


def _label(value: Part, kind: str, where: str) -> str:
    labels = reading.entries(value.get(f"{kind}labels") or value.get("labels") or [], f"{where} labels,")
    return reading.words(labels[0], f"{where} label,") if labels else NAMELESS


def _text(value: Part, where: str) -> str | None:
    """A text area holds one text or several, a line each."""
    text = value.get("text")
    if text is None or isinstance(text, str):
        return text
    lines = [reading.words(one, f"{where} 'text',") for one in reading.entries(text, f"{where} 'text',")]
    return "\n".join(lines) if lines else None


def _shape(kind: str, value: Part, part: Part, where: str) -> Shape:
    if kind == "brush":
        return _brush(value, _size(part, where.rstrip(",")), where)
    if kind == "polygon":
        corners = reading.entries(value.get("points"), f"{where} 'points',")
        pairs = [reading.numbers(corner, f"{where} 'points',", 2) for corner in corners]
        return reading.polygon(pairs, _PER_CENT, where)
    if kind == "keypoint":
        return reading.point([reading.number(value.get(key), f"{where} '{key}',") for key in "xy"], _PER_CENT)
    keys = ("x", "y", "width", "height")
    sides = [reading.number(value.get(key), f"{where} '{key}',") for key in keys]
    turned = reading.number(value.get("rotation") or 0, f"{where} 'rotation',")
    if turned % 360:
        return _turned(sides, math.radians(turned), _size(part, where.rstrip(",")), where)
    return reading.box(sides, _PER_CENT, where)


def _turned(sides: list[float], angle: float, size: tuple[int, int], where: str) -> Polygon:
    """A rectangle turned clockwise about its left top corner, in pixels and not in per cent."""
    x, y, width, height = (side / 100 * whole for side, whole in zip(sides, size * 2, strict=True))
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = [
        (x + across * cosine - down * sine, y + across * sine + down * cosine)
        for across, down in ((0, 0), (width, 0), (width, height), (0, height))
    ]
    return reading.polygon(corners, size, where)


def _brush(value: Part, size: tuple[int, int], where: str) -> Shape:
    code = reading.entries(value.get("rle"), f"{where} 'rle',")
    part = from_runs(decoded(code, size, where.rstrip(",")), (size[1], size[0]))
    return mask_at(part[0], part[1], part[2], size) if part else empty_mask()
