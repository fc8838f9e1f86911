"""From a finding to examples of a dataset: one for each of its pages, or for a question about all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from vlm_app.errors import BadInput
from vlm_app.finetune.examples import Example, Examples, Reply, Source
from vlm_app.types import PERSON, Finish, Region, Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding

if TYPE_CHECKING:
    from vlm_app.store import Store

CORRECTIONS = "My corrections"  # the dataset that one click adds to
_BROKEN_OFF = (Finish.FAILED, Finish.CANCELLED)
_IN_WORDS = frozenset({Task.CAPTION, Task.OCR, Task.DESCRIBE_REGION})  # their text is not made of regions


class Datasets:
    """Adds findings to the datasets of an owner."""

    def __init__(self, store: Store, bench: Bench) -> None:
        self.examples = Examples(store)
        self.bench = bench

    def listed(self, owner: str) -> list[dict[str, Any]]:
        """The owner's datasets, for the menu."""
        return [{"id": each.id, "name": each.name} for each in self.examples.datasets(owner)]

    def create(self, owner: str, name: str) -> str:
        """A new dataset's id. Raises BadInput for a blank name."""
        if not name.strip():
            raise BadInput("A dataset has a name: write at least one word.")
        return self.examples.create(owner, name.strip()).id

    def add(self, owner: str, finding_id: str, dataset: str = "") -> str:
        """Adds a finding as it is now; a line that says so. Without a dataset to the usual one."""
        if not finding_id:
            raise BadInput("There is nothing to add yet: ask something first.")
        finding = self.bench.finding(owner, finding_id)
        parts, left_out = _whole(finding, _parts(finding))
        id = self._dataset(owner, dataset)
        added = [self.examples.add(owner, id, self._example(owner, finding, part)) for part in parts]
        said = " ".join(filter(None, (added[-1].sentence, left_out)))
        return f'<p class="status done" role="status">{escape(said)}</p>'

    def _dataset(self, owner: str, id: str) -> str:
        known = self.examples.datasets(owner)
        for each in known:
            if each.id == id or (not id and each.name == CORRECTIONS):
                return each.id
        if id:
            raise BadInput("This dataset is gone: choose another one.")
        return self.examples.create(owner, CORRECTIONS).id

    def _example(self, owner: str, finding: Finding, pages: Sequence[int]) -> Example:
        """What is right about pages, and what the model said where that was corrected."""
        pictures = tuple(self.bench.picture(owner, finding.sheet, finding.pages[page]) for page in pages)
        question, corrected = finding.question, finding.corrected
        right = _reply(finding.text, finding.regions, finding, pages)
        wrong = _reply(finding.answer.text, finding.answer.regions, finding, pages)
        try:
            return Example(
                pictures=pictures, task=question.task, query=question.query, text=right.text,
                regions=right.regions, source=Source.EDIT, note=finding.note,
                maker=PERSON if corrected or not question.model else question.model,
                rejected=wrong if corrected and question.model and wrong != right else None,
            )  # fmt: skip
        except ValueError as error:
            raise BadInput(f"This is no example to learn from: {error}.") from error


def _parts(finding: Finding) -> list[range]:
    """The pages of each example: a question is about all of them, a task about each.

    Raises BadInput for words about several pages: nobody knows which of them belong to which page.
    """
    pages = range(len(finding.pages))
    if len(pages) > 1 and finding.question.task in _IN_WORDS:
        raise BadInput(
            f"One text about {len(pages)} pages is no example of each of them: ask about one page at a time, "
            "or read the text with places."
        )
    return [pages] if finding.question.task is Task.CHAT else [range(page, page + 1) for page in pages]


def _whole(finding: Finding, parts: list[range]) -> tuple[list[range], str]:
    """The parts that were answered to their end, or corrected, and a sentence on the one that was not.

    Raises BadInput where there is none.
    """
    if finding.corrected or finding.answer.finish not in _BROKEN_OFF:
        return parts, ""
    how = "failed" if finding.answer.finish is Finish.FAILED else "was stopped"
    if len(parts) == 1:
        raise BadInput(f"This answer {how} before its end: correct it first, or ask again.")
    return parts[:-1], f"The last page that was asked about is left out, as its answer {how}."


def _reply(text: str, regions: Sequence[Region], finding: Finding, pages: Sequence[int]) -> Reply:
    """What was said about all pages; of one among several, its regions and their words."""
    if len(pages) == len(finding.pages):
        return Reply(text, tuple(regions))
    here = tuple(replace(each, image=0, span=None) for each in regions if each.image in pages)
    return Reply(_lines(here), here)


def _lines(regions: tuple[Region, ...]) -> str:
    return "\n".join(each.text or each.label for each in regions)
