"""Examples as JSON, with a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from vlm_app.finetune.examples.example import Example, Reply, Source
from vlm_app.grounding import region_from_dict, region_to_dict
from vlm_app.store import writable
from vlm_app.types import Picture, Region, Task

SCHEMA_VERSION: Literal[1] = 1


class ReplyRecord(BaseModel):
    """A wrong answer; regions in the form of `grounding.region_to_dict`."""

    model_config = ConfigDict(extra="ignore")

    text: str
    regions: list[dict[str, Any]] = []


class ExampleRecord(BaseModel):
    """The schema of the package's docstring."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1]
    pictures: list[str]
    task: Task
    query: str = ""
    text: str | None
    regions: list[dict[str, Any]] = []
    rejected: ReplyRecord | None = None
    source: Source
    maker: str
    note: str = ""


def example_to_dict(example: Example, pictures: Sequence[str]) -> dict[str, Any]:
    """JSON-ready form of an example; `pictures` are the names under which its pictures are found."""
    wrong = example.rejected
    record = ExampleRecord(
        version=SCHEMA_VERSION,
        pictures=list(pictures),
        task=example.task,
        query=writable(example.query),
        text=None if example.text is None else writable(example.text),
        regions=_regions(example.regions),
        rejected=None
        if wrong is None
        else ReplyRecord(text=writable(wrong.text), regions=_regions(wrong.regions)),
        source=example.source,
        maker=example.maker,
        note=writable(example.note),
    )
    return record.model_dump(mode="json")


def example_from_dict(data: object, pictures: Sequence[Picture]) -> Example:
    """The example, with its pictures in the order of their names.

    Raises `ValueError` (pydantic's `ValidationError` is one), or `BadInput` for a region, with
    what does not fit.
    """
    record = ExampleRecord.model_validate(data)
    wrong = record.rejected
    return Example(
        pictures=tuple(pictures),
        task=record.task,
        query=record.query,
        text=record.text,
        regions=_from_dicts(record.regions),
        source=record.source,
        maker=record.maker,
        rejected=None if wrong is None else Reply(wrong.text, _from_dicts(wrong.regions)),
        note=record.note,
    )


def digest(example: Example) -> str:
    """A hash of what an example teaches: its pictures, its question, the right and the wrong answer.

    Two examples that differ only in where they come from have the same.
    """
    data = example_to_dict(example, [picture.sha256 for picture in example.pictures])
    taught = {key: data[key] for key in ("pictures", "task", "query", "text", "regions", "rejected")}
    return hashlib.sha256(json.dumps(taught, sort_keys=True).encode()).hexdigest()


def _regions(regions: Sequence[Region]) -> list[dict[str, Any]]:
    return [region_to_dict(region) for region in regions]


def _from_dicts(regions: Sequence[dict[str, Any]]) -> tuple[Region, ...]:
    return tuple(region_from_dict(region) for region in regions)
