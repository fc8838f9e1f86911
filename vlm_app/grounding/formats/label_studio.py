"""Label Studio: tasks with predictions, and the labelling configuration that shows them.

Sources: https://labelstud.io/guide/task_format and https://labelstud.io/guide/predictions,
the tags rectanglelabels, keypointlabels, polygonlabels, brushlabels and textarea. Places
are per cent of the image. Located text is a text area of the same id as its shape.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from vlm_app.grounding.formats.bitmaps import pixels_of, runs_of
from vlm_app.grounding.formats.brush import encoded
from vlm_app.grounding.formats.files import json_bytes, utf8, zipped
from vlm_app.grounding.formats.result import Result, Source, class_of, classes
from vlm_app.grounding.palette import PALETTE
from vlm_app.types import Box, Mask, Point, Polygon, Region

TASKS = "tasks.json"
CONFIG = "config.xml"
FOLDER = "/data/local-files/?d="  # how Label Studio names a file of its local storage
TAGS = {
    Box: ("rectanglelabels", "RectangleLabels"),
    Point: ("keypointlabels", "KeyPointLabels"),
    Polygon: ("polygonlabels", "PolygonLabels"),
    Mask: ("brushlabels", "BrushLabels"),
}
TEXT_AREA = "transcription"
_DOT = 0.5  # the width of a point, in per cent of the image


def write(result: Result) -> bytes:
    """A zip of the tasks, one an image, and of the configuration of their project."""
    return zipped(((TASKS, tasks(result)), (CONFIG, utf8(config(result)))))


def tasks(result: Result) -> bytes:
    """The tasks as JSON: what a project of Label Studio imports."""
    return json_bytes([_task(result, number, image) for number, image in enumerate(result.images)])


def config(result: Result) -> str:
    """The XML of the project: a tag for each kind of region that there is, or for boxes."""
    lines = ["<View>", '  <Image name="image" value="$image" zoom="true"/>']
    kinds = {type(region.shape) for region in result.regions} or {Box}
    for kind, (name, tag) in TAGS.items():
        if kind in kinds:
            lines.append(f'  <{tag} name="{name}" toName="image">')
            lines += _labels([region for region in result.regions if type(region.shape) is kind])
            lines.append(f"  </{tag}>")
    if any(region.text is not None for region in result.regions):
        lines.append(
            f'  <TextArea name="{TEXT_AREA}" toName="image" perRegion="true" editable="true" '
            'displayMode="region-list"/>'
        )
    return "\n".join([*lines, "</View>", ""])


def _labels(regions: list[Region]) -> list[str]:
    names = enumerate(classes(regions))
    return [
        f'    <Label value={quoteattr(name)} background="{PALETTE[n % len(PALETTE)]}"/>' for n, name in names
    ]


def _task(result: Result, number: int, image: Source) -> dict[str, Any]:
    """One image. Its prediction is named after the model, since Label Studio lists them by it."""
    found = [
        part
        for index, region in enumerate(result.regions)
        if region.image == number
        for part in _parts(region, f"region-{index + 1}", image.size)
    ]
    data: dict[str, Any] = {"image": FOLDER + quote(image.name, errors="replace"), "name": image.name}
    if all(image.size):  # of an image without regions nothing else says it
        data |= {"width": image.size[0], "height": image.size[1]}
    return {"data": data, "predictions": [{"model_version": result.model, "result": found}]}


def _parts(region: Region, name: str, size: tuple[int, int]) -> list[dict[str, Any]]:
    """A region's shape with its label, and its text."""
    kind = TAGS[type(region.shape)][0]
    place = _place(region, size)
    shape = _part(name, kind, kind, size) | {"value": place | {kind: [class_of(region)]}}
    if region.score is not None:
        shape["score"] = region.score
    if region.text is None:
        return [shape]
    text = _part(name, TEXT_AREA, "textarea", size)
    return [shape, text | {"value": ({} if kind == "brushlabels" else place) | {"text": [region.text]}}]


def _part(name: str, tag: str, kind: str, size: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": name,
        "from_name": tag,
        "to_name": "image",
        "type": kind,
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
    }


def _place(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    shape = region.shape
    if isinstance(shape, Box):
        width, height = shape.x1 - shape.x0, shape.y1 - shape.y0
        corner = {"x": shape.x0 * 100, "y": shape.y0 * 100}
        return corner | {"width": width * 100, "height": height * 100, "rotation": 0}
    if isinstance(shape, Point):
        return {"x": shape.x * 100, "y": shape.y * 100, "width": _DOT}
    if isinstance(shape, Polygon):
        return {"points": [[point.x * 100, point.y * 100] for point in shape.points], "closed": True}
    (left, top), rows = pixels_of(shape, size)
    runs = runs_of(rows, (top, left), (size[1], size[0]))
    return {"format": "rle", "rle": encoded(runs)}
