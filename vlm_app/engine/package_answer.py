"""An answer of an engine that comes with a package: the text of pictures, with its places."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from vlm_app.engine.leases import Lease
from vlm_app.engine.local_answer import BEAT
from vlm_app.errors import GenerationFailed
from vlm_app.types import (
    Answer,
    Checkpoint,
    Delta,
    Finish,
    Picture,
    Region,
    Request,
    Role,
    Seen,
    Task,
    Timings,
)

if TYPE_CHECKING:
    from vlm_app.ocr.reader import Read, Reader

_log = logging.getLogger(__name__)
_BETWEEN = "\n\n"  # two pictures


class PackageAnswer:
    """One answer on its way: the pictures of the last message that has any, read one after the other."""

    def __init__(self, request: Request, checkpoint: Checkpoint, stop: threading.Event) -> None:
        self._request = request
        self._checkpoint = checkpoint
        self._stop = stop
        self._first, self._pictures = _asked(request)
        self._began = self._had_model = time.monotonic()
        self._text = ""
        self._regions: tuple[Region, ...] = ()
        self._seen = Seen()
        self._precision = ""
        self._first_at = 0.0
        self.finish = Finish.CANCELLED
        self.tokens = 0  # it writes none

    def run(self, lease: Lease, held: ExitStack) -> Generator[Delta]:
        """Wait, read, lay out. The thread that reads takes the lease over."""
        while not lease.ready(BEAT):
            yield Delta()
            if self._stop.is_set():
                yield Delta(answer=self._answer())
                return
        self._had_model = time.monotonic()
        self._precision = lease.model.precision
        work = _Work(lease.model.model, self._pictures, lease.release)
        held.pop_all()  # from here on the thread gives the lease back
        work.start()
        try:
            yield from self._heard(work)
        finally:
            work.stop.set()
        if work.failure is not None:
            yield from self._failed(work.failure)
        if not self._stop.is_set():
            self.finish = Finish.STOP
        yield Delta(answer=self._answer())

    def _heard(self, work: _Work) -> Generator[Delta]:
        """A delta for each picture that was read."""
        shown = 0
        while True:
            over = work.over.wait(BEAT)  # asked before the pages are counted, so that none is missed
            if self._stop.is_set():
                work.stop.set()
            for page in work.pages[shown:]:
                yield self._shown(page, self._first + shown)
                shown += 1
            if over:
                return
            yield Delta()

    def _shown(self, page: Read, image: int) -> Delta:
        from vlm_app.ocr.layout import laid_out

        joint = _BETWEEN if self._text and page.lines else ""
        text, regions = laid_out(page, image, len(self._text + joint))
        regions = regions if self._request.task is Task.OCR_REGIONS else ()
        self._text += joint + text
        self._regions += regions
        self._first_at = self._first_at or time.monotonic()
        several = f"Image {image + 1}: " if len(self._pictures) > 1 else ""
        note = f"{self._seen.note} {several}{said(page)}".strip() if said(page) else self._seen.note
        self._seen = Seen(size=page.size, note=note)
        return Delta(joint + text, regions)

    def _failed(self, error: Exception) -> Generator[Delta]:
        _log.error("%s failed", self._checkpoint.id, exc_info=error)
        full = isinstance(error, MemoryError) or "allocat" in str(error).casefold()
        problem = "ran out of memory" if full else "failed inside"
        sentence = (
            f"{self._checkpoint.name} {problem} while it read: "
            f"{'unload other models, or ask about a smaller image' if full else 'ask another model'}."
        )
        self.finish = Finish.FAILED
        yield Delta(answer=self._answer(sentence))
        raise GenerationFailed(sentence)

    def _answer(self, error: str = "") -> Answer:
        now = time.monotonic()
        return Answer(
            text=self._text,
            regions=self._regions,
            raw=self._text,
            task=self._request.task,
            seen=self._seen,
            timings=Timings(
                load=self._had_model - self._began,
                first_token=self._first_at - self._had_model if self._first_at else 0.0,
                total=now - self._began,
            ),
            finish=self.finish,
            model=self._checkpoint.id,
            precision=self._precision,
            error=error,
        )


class _Work(threading.Thread):
    """Reads pictures. `pages` grows; `over` is set at the end, and the lease is back by then."""

    def __init__(self, reader: Reader, pictures: tuple[Picture, ...], on_end: Callable[[], None]) -> None:
        super().__init__(name="read text", daemon=True)
        self._reader: Reader | None = reader
        self._pictures = pictures
        self._on_end = on_end
        self.stop = threading.Event()
        self.over = threading.Event()
        self.pages: list[Read] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - whoever waits raises it again as a sentence
            self.failure = error
        finally:
            self._reader = None  # nobody holds the networks once the lease is back
            self._on_end()
            self.over.set()

    def _read(self) -> None:
        assert self._reader is not None
        for picture in self._pictures:
            if self.stop.is_set():
                return
            self.pages.append(self._reader.read(picture.pixels, self.stop))


def said(page: Read) -> str:
    """What was done to a page before it was read, as a sentence; '' for nothing."""
    if not page.done:
        return ""
    *most, last = page.done
    return f"The page was {', '.join(most) + ' and ' if most else ''}{last} before it was read."


def _asked(request: Request) -> tuple[int, tuple[Picture, ...]]:
    """The pictures of the last message that has any, and how many of the conversation come before them."""
    turns = [turn for turn in request.turns if turn.role is Role.USER and turn.pictures]
    pictures = turns[-1].pictures if turns else ()
    return len(request.pictures) - len(pictures), pictures
