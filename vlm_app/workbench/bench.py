"""What people do on the workbench: open, ask, edit, keep."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Protocol

from vlm_app import catalog
from vlm_app.grounding.formats import Result
from vlm_app.store import Store
from vlm_app.types import Answer, Checkpoint, Delta, Picture, Region, Request
from vlm_app.workbench.sheet import Finding, Mark, Page, Question, Sheet, Step

Find = Callable[[str], Checkpoint]


class Answers(Protocol):
    """What the workbench needs of the engine."""

    def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]: ...


class Bench:
    """The sheets and findings of all owners. `find` looks up a model of the catalog by its id.

    What is somebody else's is `NotFound`, exactly as what does not exist. Safe to use from
    several threads.
    """

    def __init__(self, store: Store, engine: Answers, find: Find = catalog.find) -> None:
        raise NotImplementedError

    # --- sheets ---------------------------------------------------------------------------

    def open(self, owner: str, files: Sequence[tuple[Path, str]]) -> Sheet:
        """Images together, or one PDF, or one video: pairs of where a file lies and its name.

        Of a video the sheet has no pages yet: `sample` or `frame` add them. Raises `BadInput`
        with one sentence that names the file; nothing is kept then.
        """
        raise NotImplementedError

    def sheet(self, owner: str, id: str) -> Sheet:
        """Raises `NotFound`."""
        raise NotImplementedError

    def recent(self, owner: str, most: int = 20) -> tuple[Sheet, ...]:
        """The owner's sheets, the last used first."""
        raise NotImplementedError

    def delete(self, owner: str, id: str) -> None:
        """Removes a sheet with its findings, and the images and the file that nothing else holds."""
        raise NotImplementedError

    def picture(self, owner: str, sheet_id: str, key: str) -> Picture:
        """A page in full: a document's at 144 dpi, a frame in the video's size."""
        raise NotImplementedError

    def thumbnail(self, owner: str, sheet_id: str, key: str, side: int) -> bytes:
        """A WebP file of a page, its longer side at most `side` pixels."""
        raise NotImplementedError

    def sample(
        self, owner: str, sheet_id: str, count: int | None = None, every: float | None = None
    ) -> Sheet:
        """The sheet of a video with so many frames, or one every so many seconds, as its pages.

        Frames that findings are about stay. Without either, a dozen.
        """
        raise NotImplementedError

    def frame(self, owner: str, sheet_id: str, seconds: float) -> tuple[Sheet, Page]:
        """The sheet of a video with the frame at that time among its pages, and that page."""
        raise NotImplementedError

    def born_digital(self, owner: str, sheet_id: str, key: str) -> tuple[Region, ...]:
        """The lines of text that a PDF page holds as text; none for scans, images and frames."""
        raise NotImplementedError

    # --- asking ---------------------------------------------------------------------------

    def ask(
        self,
        owner: str,
        sheet_id: str,
        keys: Sequence[str],
        question: Question,
        stop: Event | None = None,
        beside: str | None = None,
    ) -> Generator[Step]:
        """Asks about pages; the last step carries the finding as it is kept.

        What can be known to be impossible raises `BadInput`, `NotFound` or `ModelUnavailable`
        here, before the generator is returned. Later everything is kept: setting `stop`, or
        closing the generator, ends the answer within a token as CANCELLED; what the engine
        refuses ends it as FAILED with its sentence in `finding.answer.error`. `beside` is the
        finding to which this one is the second opinion. Mark ids stay from step to step.
        """
        raise NotImplementedError

    # --- findings -------------------------------------------------------------------------

    def findings(self, owner: str, sheet_id: str) -> tuple[Finding, ...]:
        """What was found on a sheet, the oldest first."""
        raise NotImplementedError

    def finding(self, owner: str, id: str) -> Finding:
        """Raises `NotFound`."""
        raise NotImplementedError

    def edit(
        self,
        owner: str,
        finding_id: str,
        marks: Sequence[Mark] | None = None,
        text: str | None = None,
        since: datetime | None = None,
    ) -> Finding:
        """Keeps what a person made of a finding: all its marks as they are now, or its text.

        Only `id` and `region` of a mark count (its label, shape, text and image): who made it is
        known. An id that the finding does not have, such as 'new-1', is a new mark of the
        person's, and gets an id of its own. Where the text of a located line changes, and `text`
        is not given, the finding's text follows. Spans are kept up: those that a mark brings do
        not count.

        `since` is the `updated` of the finding as the person saw it: when it has changed since
        (in another tab), nothing is kept and `BadInput` says so.
        """
        raise NotImplementedError

    def forget(self, owner: str, finding_id: str) -> None:
        """Removes a finding."""
        raise NotImplementedError

    def result(self, owner: str, finding_id: str) -> Result:
        """The finding as it is now, with its images, for `grounding.formats.exported`."""
        raise NotImplementedError

    def take(
        self, owner: str, pictures: Sequence[tuple[Picture, str]], answer: Answer, question: Question
    ) -> Finding:
        """Opens an answer of a chat here: a new sheet of its pictures, with their names, and the
        finding. `answer.regions` count those pictures."""
        raise NotImplementedError
