"""The frames of a video as pages of its sheet."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_app.errors import BadInput
from vlm_app.grounding.moments import clock
from vlm_app.media.videos import rate_times, spread_times
from vlm_app.workbench.pages import Pages
from vlm_app.workbench.rows import Body, Kept
from vlm_app.workbench.sheet import Page, Sheet
from vlm_app.workbench.sheets import Sheets

USUAL = 12  # frames of a first look
MOST_FRAMES = 200  # on a sheet at once, as many as a document has pages


def sample(
    sheets: Sheets, pages: Pages, owner: str, sheet_id: str, count: int | None, every: float | None
) -> Sheet:
    """The sheet with other frames; those that findings are about stay."""
    body = _video(sheets, owner, sheet_id)
    if count is not None and not 1 <= count <= MOST_FRAMES:
        raise BadInput(
            f"A video is looked at in 1 to {MOST_FRAMES} frames, found {count}: choose one of these."
        )
    if every is not None:
        times = rate_times(body.seconds, every, MOST_FRAMES)
    else:
        times = spread_times(body.seconds, count or USUAL)
    taken = _taken(pages, owner, body, times)
    return sheets.change_pages(owner, sheet_id, lambda _: taken)


def frame_at(sheets: Sheets, pages: Pages, owner: str, sheet_id: str, seconds: float) -> tuple[Sheet, Page]:
    """The sheet with the frame that is seen at that time, and its page."""
    body = _video(sheets, owner, sheet_id)
    if not 0.0 <= seconds <= body.seconds + 1.0:  # players round the end up
        raise BadInput(f"The video lasts {body.seconds:.1f} s, found {seconds:g} s: choose a time within it.")
    (taken,) = _taken(pages, owner, body, [seconds])

    def added(before: tuple[Kept, ...]) -> tuple[Kept, ...]:
        if len(before) >= MOST_FRAMES and taken not in before:
            raise BadInput(
                f"A sheet holds at most {MOST_FRAMES} frames: sample the video again, with fewer of them."
            )
        return (taken, *before)

    return sheets.change_pages(owner, sheet_id, added), taken.page


def _video(sheets: Sheets, owner: str, sheet_id: str) -> Body:
    body = sheets.body(owner, sheet_id)
    if body.size == (0, 0):
        raise BadInput("Frames are taken of a video, and this sheet has none: open a video first.")
    return body


def _taken(pages: Pages, owner: str, body: Body, times: Sequence[float]) -> tuple[Kept, ...]:
    """The frames at those times, each once. Their thumbnails are made while they are at hand."""
    found: dict[str, Kept] = {}
    for seconds, picture in pages.frames_at(owner, body, times):
        key = f"t{seconds:.3f}"
        if key not in found:
            kept = body.page(key) or Kept(Page(key, clock(seconds), picture.size, None, seconds))
            pages.keep_small(owner, body, kept, picture)
            found[key] = kept
    return tuple(found.values())
