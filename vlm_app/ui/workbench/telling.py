"""What the browser draws, as plain data: the sheet with its pages, a finding with its regions."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from vlm_app.catalog import catalog
from vlm_app.grounding import colours, ink, region_to_dict
from vlm_app.store import new_id
from vlm_app.workbench.sheet import Finding, Mark, Sheet


def told(**news: Any) -> str:
    """News for the browser. No two are the same text, so that each arrives."""
    return json.dumps({**news, "at": new_id()}, separators=(",", ":"))


def sheet_data(sheet: Sheet) -> dict[str, Any]:
    """A sheet as `assets/workbench.js` draws it; times are seconds, sizes pixels."""
    pages = [
        {
            "key": page.key,
            "title": page.title,
            "width": page.size[0],
            "height": page.size[1],
            "seconds": page.seconds,
        }
        for page in sheet.pages
    ]
    kind, name = sheet.kind.value, sheet.name
    return {"id": sheet.id, "name": name, "kind": kind, "seconds": sheet.seconds, "pages": pages}


def finding_data(
    finding: Finding, sides: Mapping[str, str] | None = None, live: bool = False
) -> dict[str, Any]:
    """A finding's regions as `<vlm-overlay>` takes them, each with the key of its page.

    `sides` are 'agreed', 'only' or 'differs' by the ids of marks.
    """
    rows = catalog()
    makers = {id: rows[id].name for id in {mark.maker for mark in finding.marks} if id in rows}
    coloured = zip(finding.marks, colours(finding.regions), strict=True)
    regions = [
        _region(mark, colour, finding.pages, sides or {}, makers)
        for mark, colour in coloured
        if mark.region.image < len(finding.pages)
    ]
    return {
        "id": finding.id,
        "pages": list(finding.pages),
        "regions": regions,
        "updated": finding.updated.isoformat(),
        "live": live,
    }


def _region(
    mark: Mark, colour: str, pages: Collection[str], sides: Mapping[str, str], makers: Mapping[str, str]
) -> dict[str, Any]:
    data = region_to_dict(mark.region)
    data |= {"key": mark.id, "page": list(pages)[mark.region.image], "colour": colour, "ink": ink(colour)}
    data |= {"maker": makers.get(mark.maker, mark.maker), "edited": mark.edited}
    return data | ({"mark": sides[mark.id]} if mark.id in sides else {})
