"""Answers as JSON, with a version: what the database keeps and what an exported chat holds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from vlm_app.grounding import region_from_dict, region_to_dict
from vlm_app.types import Answer, Finish, Region, Seen, Task, Timings, Usage

FORMAT_VERSION: Literal[1] = 1


class AnswerRecord(BaseModel):
    """The fields of an `Answer`; regions in the form of `grounding.region_to_dict`."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1]
    text: str
    regions: list[dict[str, Any]] = []
    raw: str = ""
    prompt: str = ""
    task: Task = Task.CHAT
    seen: Seen = Seen()
    usage: Usage = Usage()
    timings: Timings = Timings()
    finish: Finish = Finish.STOP
    model: str = ""
    precision: str = ""
    adapter: str | None = None
    error: str = ""


def answer_to_dict(answer: Answer) -> dict[str, Any]:
    """JSON-ready form of an answer. `answer_from_dict` is its inverse."""
    fields = {
        name: getattr(answer, name)
        for name in AnswerRecord.model_fields
        if name not in ("version", "regions")
    }
    record = AnswerRecord(
        version=FORMAT_VERSION, regions=[region_to_dict(region) for region in answer.regions], **fields
    )
    return record.model_dump(mode="json")


def answer_from_dict(data: object) -> Answer:
    """The answer. Raises `ValueError` (pydantic's `ValidationError` is one), or `BadInput` for a
    region, with what does not fit."""
    record = AnswerRecord.model_validate(data)
    fields = {name: getattr(record, name) for name in AnswerRecord.model_fields if name != "version"}
    return Answer(**{**fields, "regions": tuple(_region(region, record.text) for region in record.regions)})


def _region(data: dict[str, Any], text: str) -> Region:
    region = region_from_dict(data)
    if region.span is not None and region.span[1] > len(text):
        raise ValueError(f"a region lies on characters {region.span} of a text of {len(text)} characters")
    return region
