"""What people do on the workbench: open, ask, edit, keep."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event

from vlm_app import catalog
from vlm_app.errors import NotFound
from vlm_app.grounding.formats import Result
from vlm_app.settings import settings
from vlm_app.store import KeptFile, Store
from vlm_app.types import Answer, Picture, Region
from vlm_app.workbench.answering import Answering, Answers, Asked
from vlm_app.workbench.asking import Find, checked
from vlm_app.workbench.cache import Cache
from vlm_app.workbench.editing import edited
from vlm_app.workbench.frames import frame_at, sample
from vlm_app.workbench.opening import open_sheet
from vlm_app.workbench.pages import Pages
from vlm_app.workbench.sheet import Finding, Mark, Page, Question, Sheet, Step
from vlm_app.workbench.sheets import FORGOTTEN, Sheets
from vlm_app.workbench.taking import begin, result_of, take


class Bench:
    """The sheets and findings of all owners. `find` looks up a model of the catalog by its id.

    What is somebody else's is `NotFound`, exactly as what does not exist. Safe to use from
    several threads.
    """

    def __init__(self, store: Store, engine: Answers, find: Find = catalog.find) -> None:
        self._store = store
        self._engine = engine
        self._find = find
        self._sheets = Sheets(store)
        self._cache = Cache(store.data / "cache" / "pages", settings().cache_bytes)
        self._pages = Pages(self._sheets, self._cache)

    # --- sheets ---------------------------------------------------------------------------

    def open(self, owner: str, files: Sequence[tuple[Path, str]]) -> Sheet:
        """Images together, or one PDF, or one video: pairs of where a file lies and its name.

        Of a video the sheet has no pages yet: `sample` or `frame` add them. Raises `BadInput`
        with one sentence that names the file; nothing is kept then.
        """
        return open_sheet(self._sheets, self._cache, owner, files)

    def sheet(self, owner: str, id: str) -> Sheet:
        """Raises `NotFound`."""
        return self._sheets.sheet(owner, id)

    def recent(self, owner: str, most: int = 20) -> tuple[Sheet, ...]:
        """The owner's sheets, the last used first."""
        return self._sheets.recent(owner, most)

    def delete(self, owner: str, id: str) -> None:
        """Removes a sheet with its findings, and the images and the file that nothing else holds."""
        body = self._sheets.body(owner, id)
        self._pages.let_go(owner, body)
        self._sheets.delete(owner, id)

    def picture(self, owner: str, sheet_id: str, key: str) -> Picture:
        """A page in full: a document's at 144 dpi, a frame in the video's size."""
        return self._pages.picture(owner, sheet_id, key)

    def thumbnail(self, owner: str, sheet_id: str, key: str, side: int) -> bytes:
        """A WebP file of a page, its longer side at most `side` pixels."""
        return self._pages.thumbnail(owner, sheet_id, key, side)

    def shown(self, owner: str, sheet_id: str, key: str) -> bytes:
        """A page in full as the file that a browser gets: a PNG, of a JPEG photo a JPEG."""
        return self._pages.shown(owner, sheet_id, key)

    def file(self, owner: str, sheet_id: str) -> KeptFile:
        """The document or the video itself. Raises `NotFound`, also for images."""
        return self._pages.file(owner, sheet_id)

    def sample(
        self, owner: str, sheet_id: str, count: int | None = None, every: float | None = None
    ) -> Sheet:
        """The sheet of a video with so many frames, or one every so many seconds, as its pages.

        Frames that findings are about stay. Without either, a dozen.
        """
        return sample(self._sheets, self._pages, owner, sheet_id, count, every)

    def frame(self, owner: str, sheet_id: str, seconds: float) -> tuple[Sheet, Page]:
        """The sheet of a video with the frame at that time among its pages, and that page."""
        return frame_at(self._sheets, self._pages, owner, sheet_id, seconds)

    def born_digital(self, owner: str, sheet_id: str, key: str) -> tuple[Region, ...]:
        """The lines of text that a PDF page holds as text; none for scans, images and frames."""
        return self._pages.lines(owner, sheet_id, key)

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
        sheet = self.sheet(owner, sheet_id)
        asked = checked(self._find, sheet, keys, question)
        if beside is not None and self.finding(owner, beside).sheet != sheet.id:
            raise NotFound(FORGOTTEN)
        body = self._sheets.body(owner, sheet_id)
        whole = Asked(sheet, body, tuple(keys), asked, beside)
        return Answering(self._sheets, self._pages, self._engine, whole, stop).steps()

    # --- findings -------------------------------------------------------------------------

    def findings(self, owner: str, sheet_id: str) -> tuple[Finding, ...]:
        """What was found on a sheet, the oldest first."""
        return self._sheets.findings(owner, sheet_id)

    def finding(self, owner: str, id: str) -> Finding:
        """Raises `NotFound`."""
        return self._sheets.record(owner, id).finding

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
        return self._sheets.change_finding(
            owner, finding_id, since, lambda record: edited(record, marks, text)
        )

    def forget(self, owner: str, finding_id: str) -> None:
        """Removes a finding."""
        self._sheets.forget(owner, finding_id)

    def result(self, owner: str, finding_id: str) -> Result:
        """The finding as it is now, with its images, for `grounding.formats.exported`."""
        return result_of(self._sheets, self._pages, self._sheets.record(owner, finding_id))

    def begin(self, owner: str, sheet_id: str, keys: Sequence[str], question: Question) -> Finding:
        """An empty finding of the owner's own about pages of a sheet: `edit` fills it, with regions
        that were drawn where no model was asked, or that came as a file."""
        return begin(self._sheets, self._pages, owner, sheet_id, keys, question)

    def take(
        self, owner: str, pictures: Sequence[tuple[Picture, str]], answer: Answer, question: Question
    ) -> Finding:
        """Opens an answer of a chat here: a new sheet of its pictures, with their names, and the
        finding. `answer.regions` count those pictures."""
        return take(self._sheets, owner, pictures, answer, question)
