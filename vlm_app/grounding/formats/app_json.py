"""The app's own JSON, described in docs/exports.md: nothing of a result is lost in it."""

from __future__ import annotations

from vlm_app.errors import BadInput
from vlm_app.grounding.export import region_from_dict, region_to_dict
from vlm_app.grounding.formats import reading
from vlm_app.grounding.formats.files import json_bytes
from vlm_app.grounding.formats.result import Result, Source

FORMAT = "vlm-app/regions"
VERSION = 1


def write(result: Result) -> bytes:
    """One JSON object; `read` gives the same result back, without the pixels."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        "model": result.model,
        "task": result.task,
        "query": result.query,
        "text": result.text,
        "images": [
            {"name": image.name, "width": image.size[0], "height": image.size[1]} for image in result.images
        ],
        "regions": [region_to_dict(region) for region in result.regions],
    }
    return json_bytes(data)


def read(data: bytes | str) -> Result:
    """A file that `write` made, or somebody by hand.

    Raises:
        BadInput: one sentence that names what is missing or wrong.
    """
    top = reading.record(reading.parsed(data, "regions"), "A regions file")
    if top.get("format") != FORMAT or top.get("version") != VERSION:
        raise BadInput(f"Regions are read of format '{FORMAT}', version {VERSION}: choose such a file.")
    texts = {key: reading.words(top.get(key, ""), f"'{key}'") for key in ("text", "model", "task", "query")}
    images = tuple(
        _source(image, f"Image {n}") for n, image in enumerate(reading.entries(top.get("images"), "'images'"))
    )
    regions = reading.held(region_from_dict(one) for one in reading.entries(top.get("regions"), "'regions'"))
    try:
        return Result(images, regions, **texts)
    except ValueError as error:
        raise BadInput(f"The regions file cannot be used: {error}.") from error


def _source(value: object, where: str) -> Source:
    image = reading.record(value, where)
    size = (reading.side(image.get(key), f"{where}, '{key}',") for key in ("width", "height"))
    width, height = size
    return Source(reading.words(image.get("name"), f"{where}, 'name',"), (width, height))
