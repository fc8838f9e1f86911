"""A report of regions that were chosen on the workbench, as a file for its owner."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlm_app.api.replies import NEVER, attachment, owner_of, sentence_on_error, slug
from vlm_app.errors import BadInput, NotFound
from vlm_app.types import Picture, Region
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.report import Clipping, report_html, report_pdf
from vlm_app.workbench.sheet import Kind

MOST_BYTES = 1_000_000  # of what is sent
MOST_CLIPPINGS = 200
KINDS = {"html": (report_html, "text/html"), "pdf": (report_pdf, "application/pdf")}


def report_routes(bench: Bench) -> list[Route]:
    """The route of reports, for `launch(app_kwargs={"routes": ...})`."""

    async def report(request: Request) -> Response:
        """`{"title": "…", "items": [{"finding": id, "mark": id or "", "page": key}]}` as a document; of
        kind 'json' a list of which items are there and the visitor's own, counted from 0."""
        owner, kind = owner_of(request), request.path_params["kind"]
        if kind not in KINDS and kind != "json":
            raise BadInput(f"A report is a file of kind {' or '.join(KINDS)}, found '{kind[:20]}'.")
        asked = _read(await _body(request))
        if kind == "json":
            return JSONResponse(await run_in_threadpool(_there, bench, owner, asked["items"]), headers=NEVER)
        _check_count(len(asked["items"]))
        data = await run_in_threadpool(_written, bench, owner, kind, asked)
        return attachment(data, KINDS[kind][1], f"{slug(_title(asked), 'report')}.{kind}")

    return [Route("/report.{kind}", sentence_on_error(report), methods=["POST"])]


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise BadInput(f"A report has at most {MOST_CLIPPINGS} entries: remove some.")
    return body


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadInput("A report is asked for as JSON with 'title' and 'items'.") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("items"), list):
        raise BadInput("A report is asked for as JSON with 'title' and 'items'.")
    return asked


def _check_count(found: int) -> None:
    if found > MOST_CLIPPINGS:
        raise BadInput(f"A report has at most {MOST_CLIPPINGS} entries, found {found}: remove some.")


def _title(asked: Mapping[str, Any]) -> str:
    return str(asked.get("title") or "Report")[:200]


def _there(bench: Bench, owner: str, items: Sequence[Any]) -> list[int]:
    picture = partial(bench.picture, owner)  # which nobody looks at here
    return [at for at, item in enumerate(items) if _clipping(bench, owner, item, picture)]


def _written(bench: Bench, owner: str, kind: str, asked: Mapping[str, Any]) -> bytes:
    picture = lru_cache(maxsize=1)(partial(bench.picture, owner))  # regions follow page by page, mostly
    each = (_clipping(bench, owner, item, picture) for item in asked["items"])
    clippings = [one for one in each if one is not None]
    if not clippings:
        raise BadInput("What this report was about is gone: choose other regions.")
    return KINDS[kind][0](_title(asked), clippings)


def _clipping(bench: Bench, owner: str, item: Any, picture: Callable[[str, str], Picture]) -> Clipping | None:
    """One entry; None where it was deleted since it was chosen."""
    asked = item if isinstance(item, dict) else {}
    key, mark_id = str(asked.get("page")), str(asked.get("mark") or "")
    try:
        finding = bench.finding(owner, str(asked.get("finding")))
        sheet = bench.sheet(owner, finding.sheet)
    except NotFound:
        return None
    page = sheet.page(key)
    mark = next((each for each in finding.marks if each.id == mark_id), None)
    if page is None or (mark_id and mark is None):
        return None
    place = page.title if sheet.kind is Kind.IMAGES else f"{sheet.name}, {page.title}"
    part = finding.question.region  # of an answer about a drawn part
    region = mark.region if mark else Region("", part) if part else None
    return Clipping(partial(picture, sheet.id, key), region, place, finding.text)
