"""From what the browser says was changed on a page to the marks of a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.grounding import region_from_dict
from vlm_app.workbench.sheet import Finding, Mark

MOST_REGIONS = 5000


def changed(finding: Finding, page: str, regions: Any) -> tuple[Mark, ...]:
    """All marks of a finding, where those on one page are now `regions`.

    They are what `<vlm-overlay>` reports: a key each, and a region as data. Raises BadInput.
    """
    if page not in finding.pages:
        raise BadInput("This page has no answer to change yet: ask something about it first.")
    at = finding.pages.index(page)
    if not isinstance(regions, list) or len(regions) > MOST_REGIONS:
        raise BadInput(f"A page holds at most {MOST_REGIONS:,} regions: delete some.")
    known = {mark.id: mark for mark in finding.marks}
    here = {mark.id: mark for mark in (_mark(each, at, known) for each in regions)}
    return _in_order(finding, here, at)


def _mark(data: Any, at: int, known: Mapping[str, Mark]) -> Mark:
    if not isinstance(data, Mapping):
        raise BadInput("A changed region cannot be read: reload the page.")
    key = str(data.get("key"))
    region = replace(region_from_dict({**data, "image": at, "span": None}), image=at)
    before = known.get(key)
    if before is None:
        return Mark(key, region)
    return replace(before, region=replace(region, span=before.region.span, score=before.region.score))


def _in_order(finding: Finding, here: Mapping[str, Mark], at: int) -> tuple[Mark, ...]:
    """Marks keep their places; new ones come last."""
    kept: list[Mark] = []
    for mark in finding.marks:
        if mark.region.image != at:
            kept.append(mark)
        elif mark.id in here:
            kept.append(here[mark.id])
    known = {mark.id for mark in finding.marks}
    return (*kept, *(mark for id, mark in here.items() if id not in known))
