"""A finding as HTML: pure functions. Everything that a person or a model wrote is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise

from vlm_app.grounding import colours
from vlm_app.grounding.formats import FORMATS
from vlm_app.types import PERSON, Checkpoint, Finish, Task
from vlm_app.ui.addresses import under_root
from vlm_app.ui.pieces import AS_WRITTEN, attribute
from vlm_app.ui.prose import Phrase, prose
from vlm_app.ui.workbench.choosing import NAMES
from vlm_app.workbench.links import links
from vlm_app.workbench.sheet import Finding, Kind, Mark, Sheet

MOST_LISTED = 1000  # regions
FORMAT_NAMES = {
    "json": "JSON", "coco": "COCO", "yolo": "YOLO", "label-studio": "Label Studio", "csv": "CSV",
    "png": "Annotated picture", "crops": "Crops", "txt": "Plain text", "md": "Markdown", "hocr": "hOCR",
    "pdf": "Searchable PDF",
}  # fmt: skip
UNITS = {Kind.IMAGES: "image", Kind.DOCUMENT: "page", Kind.VIDEO: "frame"}
YOU, OWN = "You", "The file’s own text"
SHAPES = {"box": "box", "point": "point", "polygon": "outline", "mask": "mask"}


@dataclass(frozen=True, slots=True)
class Around:
    """What a finding stands in: its sheet, the catalog, and how the marks compare with another's."""

    sheet: Sheet
    rows: Mapping[str, Checkpoint]
    sides: Mapping[str, str]  # 'agreed', 'only' or 'differs' by the id of a mark
    words: Sequence[tuple[int, int]] = ()  # where the text differs from the other's


def answer(finding: Finding, around: Around, *, fixed: bool = False, beside: str = "") -> str:
    """A finding: who said it, its text with coloured phrases, what can be done, its regions.

    `fixed`: nothing can be done with it now, as it grows or is a part. `beside` is the HTML of the
    second opinion, which then stands under it.
    """
    foot = "" if fixed else _ways(finding)
    body = f"{head(finding, around.rows)}{_text(finding, around, fixed)}{ending(finding)}"
    return (
        f'<section class="bench-found{" fixed" if fixed else ""}" data-finding="{attribute(finding.id)}">'
        f"{body}{foot}{beside}{regions(finding, around)}</section>"
    )


def opinion(finding: Finding, around: Around, agreed: int) -> str:
    """The second opinion, in short: its text and how much of it agrees."""
    count = len(finding.marks)
    line = f"{agreed} of {count} regions agree" if count else ""
    listed = f"<details><summary>{line}</summary>{regions(finding, around)}</details>" if count else ""
    return (
        f'<section class="bench-found second" data-finding="{attribute(finding.id)}">'
        f"{head(finding, around.rows)}{_text(finding, around, False)}{ending(finding)}"
        f"{listed}{_instead(finding)}</section>"
    )


def _instead(finding: Finding) -> str:
    if not finding.id:  # the file's own text is nobody's finding
        return ""
    return (
        f'<p class="ways"><button type="button" class="inline" data-bench="show" '
        f'data-finding="{attribute(finding.id)}">Edit this one instead</button></p>'
    )


def head(finding: Finding, rows: Mapping[str, Checkpoint]) -> str:
    """'Pebble · Detect “red circle” · 1.2 s · corrected'."""
    row = rows.get(finding.question.model)
    time = f"{finding.answer.timings.total:.1f} s" if finding.answer.timings.total else ""
    facts = [asked(finding) if finding.id else "", time, "corrected" if finding.corrected else ""]
    name = row.name if row else finding.question.model or (YOU if finding.id else OWN)
    return (
        f"<h2><strong>{escape(name)}</strong> <small>{escape(' · '.join(filter(None, facts)))}</small></h2>"
    )


def asked(finding: Finding) -> str:
    """'Detect “red circle”'. The query of a drawn part are its coordinates: they lie on the picture."""
    drawn = finding.question.task is Task.DESCRIBE_REGION
    query = "" if drawn else finding.question.query.strip()
    short = query if len(query) <= 60 else query[:59] + "…"
    task = NAMES.get(finding.question.task, finding.question.task.value)
    return f"{task} “{short}”" if query else task


def ending(finding: Finding) -> str:
    """Notes, and why an answer is shorter than it could be."""
    answer = finding.answer
    notes = list(dict.fromkeys(filter(None, (finding.note, answer.seen.note))))
    said = "".join(f'<div class="notice"><span>{escape(note)}</span></div>' for note in notes)
    match answer.finish:
        case Finish.LENGTH:
            return said + '<div class="notice"><span>Cut at the limit of tokens.</span></div>'
        case Finish.CANCELLED:
            return said + '<div class="notice"><span>Stopped. What was found so far is kept.</span></div>'
        case Finish.FAILED:
            sentence = answer.error or "The model could not finish this answer."
            return said + f'<div class="notice failed" role="alert"><span>{escape(sentence)}</span></div>'
    return said


# --- text -------------------------------------------------------------------------------


def _text(finding: Finding, around: Around, fixed: bool) -> str:
    said_nothing = not finding.marks and not any(each.isalnum() for each in finding.text)
    if not finding.text or (said_nothing and not finding.corrected and not fixed):
        return "" if fixed or finding.marks else '<p class="hint">Nothing was found.</p>'
    phrases = [*_phrases(finding), *_links(finding, around.sheet), *_differences(around.words)]
    phrases = _cut(phrases) if around.words else phrases
    markdown = finding.question.task not in AS_WRITTEN
    said = prose(finding.text, phrases, markdown=markdown)
    return (
        f'<div class="prose-text">{said}</div>'
        f'<textarea class="correct" hidden aria-label="The corrected text">{escape(finding.text)}</textarea>'
    )


def _phrases(finding: Finding) -> list[Phrase]:
    """One phrase for each span; regions that share it are named together."""
    shared: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for mark, colour in zip(finding.marks, colours(finding.regions), strict=True):
        if mark.region.span:
            shared.setdefault(mark.region.span, []).append((mark.id, colour))
    return [
        Phrase(start, end, tuple(key for key, _ in group), group[0][1])
        for (start, end), group in shared.items()
    ]


def _links(finding: Finding, sheet: Sheet) -> list[Phrase]:
    """Pages and times that the text names; a press on one goes there."""
    return [
        Phrase(each.start, each.end, (_target(each.key, each.seconds),), "var(--accent)")
        for each in links(finding.text, sheet)
        if sheet.kind is not Kind.IMAGES
    ]


def _target(key: str, seconds: float | None) -> str:
    return f"page:{key}" if seconds is None else f"time:{seconds:.3f}"


def _differences(words: Sequence[tuple[int, int]]) -> list[Phrase]:
    return [Phrase(start, end, ("differs",), "var(--danger)") for start, end in words]


def _cut(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Pieces that do not overlap, each with the keys of all phrases that it is part of."""
    edges = sorted({edge for each in phrases for edge in (each.start, each.end)})
    pieces = []
    for start, end in pairwise(edges):
        over = [each for each in phrases if each.start <= start and end <= each.end]
        if over:
            keys = tuple(key for each in over for key in each.keys)
            pieces.append(Phrase(start, end, keys, over[0].colour))
    return pieces


# --- regions ----------------------------------------------------------------------------


def regions(finding: Finding, around: Around) -> str:
    """The list of regions by label, each with its switch; a press on one shows it."""
    if not finding.marks:
        return ""
    groups: dict[str, list[tuple[Mark, str]]] = {}
    for mark, colour in zip(finding.marks[:MOST_LISTED], colours(finding.regions), strict=False):
        groups.setdefault(mark.region.label, []).append((mark, colour))
    made = "".join(_group(label, group, finding, around) for label, group in groups.items())
    more = len(finding.marks) - MOST_LISTED
    left = f'<p class="hint">and {more} more, on the picture</p>' if more > 0 else ""
    return f'<div class="bench-regions">{made}{left}</div>'


def _group(label: str, group: Sequence[tuple[Mark, str]], finding: Finding, around: Around) -> str:
    name, colour = label or "without a label", group[0][1]
    if len(group) == 1:
        return f'<ul class="single" style="--c:{colour}">{_row(group[0][0], finding, around, label)}</ul>'
    rows = "".join(_row(mark, finding, around) for mark, _ in group)
    opened = " open" if len(group) <= 12 else ""
    return (
        f'<details class="label" data-key="{attribute(label)}"{opened}><summary style="--c:{colour}"><i></i>'
        f"<span>{escape(name)}</span> <small>{len(group)}</small>"
        f"{_switch(label)}</summary>"
        f"<ul>{rows}</ul></details>"
    )


def _switch(label: str) -> str:
    return (
        f'<button type="button" class="act eye" data-bench="toggle" data-label="{attribute(label)}" '
        f'aria-pressed="true" aria-label="Show {attribute(label)}"><i class="ico eye"></i></button>'
    )


def _row(mark: Mark, finding: Finding, around: Around, label: str | None = None) -> str:
    """A line of the list; with a `label` the only one of it, which it then names."""
    region = mark.region
    at = region.image if region.image < len(finding.pages) else 0
    page = around.sheet.page(finding.pages[at]) if finding.pages else None
    words = region.text or label or SHAPES[region.kind]
    facts = [
        page.title if page and len(finding.pages) > 1 else "",
        f"{region.score:.0%}".replace("%", " %") if region.score is not None else "",
        maker(mark, around.rows),
        {"agreed": "both agree", "only": "only this one", "differs": "read differently"}.get(
            around.sides.get(mark.id, ""), ""
        ),
    ]
    key, single = attribute(mark.id), label is not None
    on = attribute(finding.pages[at]) if finding.pages else ""
    clip = (  # what grows is not kept yet
        f'<button type="button" class="act" data-bench="clip" data-key="{key}" data-page="{on}" '
        f'data-words="{attribute(region.text or region.label)}" title="Add to report" '
        f'aria-label="Add to report: {attribute(words)}"><i class="ico clip"></i></button>'
    )
    return (
        f'<li data-r="{key}" class="{attribute(around.sides.get(mark.id, ""))}">{"<i></i>" if single else ""}'
        f'<button type="button" class="row" data-bench="select" data-key="{key}" '
        f'data-page="{on}"><span>{escape(words)}</span> '
        f"<small>{escape(' · '.join(filter(None, facts)))}</small></button>"
        f"{clip if finding.id else ''}{_switch(label or '') if single else ''}</li>"
    )


def maker(mark: Mark, rows: Mapping[str, Checkpoint]) -> str:
    """Who made a region, where that is not the model of the finding alone."""
    if mark.maker == PERSON:
        return "by you"
    return "changed by you" if mark.edited else ""


# --- what can be done with it -----------------------------------------------------------


def _ways(finding: Finding) -> str:
    id = attribute(finding.id)
    formats = "".join(
        f'<a href="{under_root(f"/findings/{id}/export.{name}")}" download title="{attribute(each.about)}">'
        f"{FORMAT_NAMES.get(name, name)}<small>{escape(each.about)}</small></a>"
        for name, each in FORMATS.items()
    )
    correct = (
        '<button type="button" class="plain" data-bench="correct">Correct the text</button>'
        '<button type="button" class="plain strong" data-bench="correct-keep" hidden>Keep</button>'
        '<button type="button" class="plain" data-bench="correct-drop" hidden>Cancel</button>'
        if finding.text
        else ""
    )
    return (
        f'<div class="ways"><button type="button" class="plain" data-bench="dataset">Add to dataset</button>'
        f'<button type="button" class="plain" popovertarget="bench-datasets" data-bench="datasets" '
        f'aria-label="Choose a dataset">⌄</button>{correct}'
        f'<button type="button" class="plain" data-bench="clip-all" '
        f'data-page="{attribute(finding.pages[0]) if finding.pages else ""}">Add to report</button>'
        f'<button type="button" class="plain" popovertarget="bench-exports">Export ⌄</button></div>'
        f'<div id="bench-exports" class="bench-menu" popover>{formats}</div>'
        f'<div id="bench-datasets" class="bench-menu" popover><div id="dataset-list"></div>'
        f'<form data-bench-form="new-dataset"><input type="text" name="name" placeholder="New dataset" '
        f'maxlength="80" aria-label="Name of a new dataset"><button class="plain">Add</button></form></div>'
    )


def history(
    findings: Sequence[Finding],
    shown: str,
    rows: Mapping[str, Checkpoint],
    now: datetime,
    kind: Kind = Kind.DOCUMENT,
) -> str:
    """What was found on a sheet of that kind, the newest first."""
    if not findings:
        return ""
    made = "".join(_past(each, shown, rows, now, UNITS[kind]) for each in reversed(findings))
    return (
        f'<details class="bench-fold" open><summary>Findings <small>{len(findings)}</small></summary>'
        f'<ol class="past">{made}</ol></details>'
    )


def _past(finding: Finding, shown: str, rows: Mapping[str, Checkpoint], now: datetime, unit: str) -> str:
    row, id = rows.get(finding.question.model), attribute(finding.id)
    name = row.name if row else finding.question.model or YOU
    count = len(finding.marks)
    facts = [
        f"{count} region{'s' if count != 1 else ''}" if count else "",
        f"{len(finding.pages)} {unit}s" if len(finding.pages) > 1 else "",
        "corrected" if finding.corrected else "",
        "second opinion" if finding.beside else "",
        finding.created.astimezone(now.tzinfo).strftime("%H:%M"),
    ]
    current = ' aria-current="true"' if finding.id == shown else ""
    return (
        f'<li><button type="button" class="row" data-bench="show" data-finding="{id}"{current}>'
        f"<span>{escape(asked(finding))}</span> "
        f"<small>{escape(' · '.join([name, *filter(None, facts)]))}</small></button>"
        f'<button type="button" class="act" data-bench="forget" data-finding="{id}" title="Delete" '
        f'aria-label="Delete: {attribute(asked(finding))}"><i class="ico delete"></i></button></li>'
    )


def name(sheet: Sheet | None, recent: Sequence[Sheet]) -> str:
    """What is open, with a menu of what was lately."""
    if sheet is None and not recent:
        return ""
    listed = "".join(_lately(each, sheet) for each in recent)
    title = escape(sheet.name) if sheet else "Recent"
    note = f'<small class="sheet-note">{escape(sheet.note)}</small>' if sheet and sheet.note else ""
    drop = (
        '<button type="button" class="act" data-bench="delete" title="Delete this sheet" '
        'aria-label="Delete this sheet"><i class="ico delete"></i></button>'
        if sheet
        else ""
    )
    return (
        f'<div class="bench-title"><button type="button" class="plain" popovertarget="bench-recent">'
        f"<strong>{title}</strong> ⌄</button>{drop}{note}</div>"
        f'<div id="bench-recent" class="bench-menu" popover>{listed}</div>'
    )


def _lately(each: Sheet, sheet: Sheet | None) -> str:
    count = len(each.pages)
    what = {
        Kind.IMAGES: f"{count} image{'s' if count != 1 else ''}",
        Kind.DOCUMENT: f"{count} page{'s' if count != 1 else ''}",
        Kind.VIDEO: "video",
    }[each.kind]
    current = ' aria-current="true"' if sheet and each.id == sheet.id else ""
    return (
        f'<button type="button" data-bench="open" data-sheet="{attribute(each.id)}"{current}>'
        f"{escape(each.name)}<small>{what}</small></button>"
    )
