"""Regions in the formats of other tools, and back; docs/exports.md describes each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlm_app.errors import BadInput
from vlm_app.grounding.formats import (
    app_json,
    coco,
    coco_reading,
    hocr,
    label_studio,
    label_studio_reading,
    pdf,
    pictures,
    table,
    writing,
    yolo,
)
from vlm_app.grounding.formats.result import Result, Source, result_of

__all__ = ["FORMATS", "Format", "Result", "Source", "exported", "imported", "named", "result_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a result: its name, the suffix of its file, and what it is good for."""

    name: str
    suffix: str
    about: str
    write: Callable[[Result], bytes]
    read: Callable[[bytes | str], Result] | None = None
    pictured: bool = False  # whether it needs the images' pixels


FORMATS = {
    one.name: one
    for one in (
        Format("json", ".json", "The app's own: nothing is lost", app_json.write, app_json.read),
        Format("coco", ".json", "COCO's object detection", coco.write, coco_reading.read),
        Format("yolo", ".zip", "Labels as Ultralytics' YOLO trains on", yolo.write),
        Format(
            "label-studio",
            ".zip",
            "Tasks with predictions, and the labelling configuration",
            label_studio.write,
            label_studio_reading.read,
        ),
        Format("csv", ".csv", "A table, one region a line, places in pixels", table.write),
        Format("png", ".png", "The image with its regions drawn", pictures.drawn, pictured=True),
        Format("crops", ".zip", "A picture of each region", pictures.crops, pictured=True),
        Format("txt", ".txt", "The text that was read, else the answer", writing.plain_text),
        Format("md", ".md", "The same as Markdown", writing.markdown),
        Format("hocr", ".hocr", "The text with its places, for tools that work with OCR", hocr.write),
        Format("pdf", ".pdf", "The images as pages whose text is found and copied", pdf.write, pictured=True),
    )
}


def named(name: str) -> Format:
    """The format of a name.

    Raises:
        BadInput: there is none; the sentence lists them.
    """
    found = FORMATS.get(name.lower())
    if found is None:
        raise BadInput(f"There is no export format '{name}'; choose one of: {', '.join(FORMATS)}.")
    return found


def exported(result: Result, name: str) -> bytes:
    """A result as the bytes of a file.

    Raises:
        BadInput: no such format, or it needs images that are not there.
    """
    return named(name).write(result)


def imported(data: bytes | str, name: str) -> Result:
    """The images (without pixels) and regions of a file: json, coco or label-studio.

    Raises:
        BadInput: one sentence that names what is missing or wrong in the file.
    """
    read = named(name).read
    if read is None:
        able = ", ".join(one.name for one in FORMATS.values() if one.read)
        raise BadInput(f"Files of format '{name}' are not read back; choose one of: {able}.")
    return read(data)
