"""Two findings about the same pages beside each other: what they agree on, and which words differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from vlm_app.ocr.differences import differences, differing
from vlm_app.types import Answer, Region, Task
from vlm_app.workbench.agreement import agreed
from vlm_app.workbench.sheet import Finding, Mark, Question

READ = {Task.OCR, Task.OCR_REGIONS}
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A second opinion. `first` and `second` are 'agreed', 'only' or 'differs' by the ids of marks,
    `words` and `other_words` the places of the texts that differ."""

    other: Finding
    first: Mapping[str, str]
    second: Mapping[str, str]
    agreed: int
    words: Spans = ()
    other_words: Spans = ()


def compared(one: Finding, other: Finding | None) -> Compared | None:
    """How a finding and its second opinion compare; None where there is none."""
    if other is None:
        return None
    pairs = agreed(one.regions, other.regions)
    first = {mark.id: "only" for mark in one.marks} | {one.marks[a].id: "agreed" for a, *_ in pairs}
    second = {mark.id: "only" for mark in other.marks} | {other.marks[b].id: "agreed" for _, b, *_ in pairs}
    words: Spans = ()
    other_words: Spans = ()
    if one.question.task in READ and other.question.task in READ:
        found = differences(_said(one), _said(other))
        words = tuple((each.start, each.end) for each in found)
        other_words = tuple((each.other_start, each.other_end) for each in found)
        first |= {one.marks[at].id: "differs" for at in differing(one.regions, other.regions)}
        second |= {other.marks[at].id: "differs" for at in differing(other.regions, one.regions)}
    return Compared(other, first, second, len(pairs), words, other_words)


def _said(finding: Finding) -> str:
    """The words that were read at some place; what the answer puts between them becomes spaces."""
    spans = [mark.region.span for mark in finding.marks if mark.region.span]
    if not spans or finding.corrected:
        return finding.text
    said = [" "] * len(finding.text)
    for start, end in spans:
        said[start:end] = finding.text[start:end]
    return "".join(said)


def own_text(owner: str, sheet: str, key: str, lines: Sequence[Region]) -> Finding:
    """The text that a page of a file holds as text, as if somebody had read it."""
    now, text, marks = datetime.now(UTC), "", []
    for number, line in enumerate(lines):
        start = len(text)
        text += (line.text or line.label) + "\n"
        region = Region(line.label, line.shape, 0, line.text, span=(start, len(text) - 1))
        marks.append(Mark(f"own-{number}", region, maker="file"))
    question = Question(Task.OCR_REGIONS)
    return Finding("", owner, sheet, (key,), question, Answer(text), tuple(marks), text.rstrip(), now, now)


def on_page(finding: Finding, key: str) -> Finding:
    """Only what a finding says about one page: its regions and, of several pages, their text."""
    if finding.pages == (key,):
        return finding
    at = finding.pages.index(key)
    marks, text = [], ""
    for mark in finding.marks:
        if mark.region.image == at:
            start, words = len(text), mark.region.text or mark.region.label
            text += words + "\n"
            region = replace(mark.region, image=0, span=(start, start + len(words)))
            marks.append(replace(mark, region=region))
    return replace(finding, pages=(key,), marks=tuple(marks), text=text.rstrip())
