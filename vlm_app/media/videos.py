"""Videos: facts about a file and the frames at given times, opened in the decode worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vlm_app.errors import BadInput
from vlm_app.media.images import _settings, decode_memory, picture_of
from vlm_app.media.names import subject, why_unread
from vlm_app.media.pool import Job, Pool
from vlm_app.types import Picture

if TYPE_CHECKING:
    from vlm_app.limits import Limits

PATIENCE = 3  # times the limit for an image: a frame may need all those since its key frame
_ADVICE = "cut it shorter, or convert it to H.264 in an MP4 file"


class Video:
    """A video file whose frames can be asked for by time.

    `seconds` is when its last frame ends, `size` (width, height) of its frames as they are
    given: upright, and scaled down to `most_pixels`, or to those of the settings where these are
    fewer. `frames_per_second` is the average, 0 where it is not known. `note` says what a person
    should know ('cut off: …').

    This process holds one frame at a time; the file stays open in the worker only while
    `frames` is being read.
    """

    def __init__(self, path: Path, name: str, most_pixels: int | None = None) -> None:
        self.path = path
        self.name = name
        most = _settings().max_pixels
        self._most = most if most_pixels is None else min(most, most_pixels)
        self._reading = False
        facts, _ = self._ask({})
        self.seconds = float(facts["seconds"])
        self.size: tuple[int, int] = (int(facts["shown"][0]), int(facts["shown"][1]))
        self.frames_per_second = float(facts["rate"])
        self.note = str(facts["note"])

    def frames(self, times: Sequence[float]) -> Iterator[tuple[float, Picture]]:
        """For each of `times` (seconds) the nearest frame at or before it, and that frame's own time.

        Times before the first frame give the first one, times behind the end the last. Rising
        times are fastest: each frame is decoded once. A frame's own time, asked again, gives
        the same frame. Raises `BadInput`.
        """
        for number, time in enumerate(times, 1):
            self._reading = number < len(times)
            facts, picture = self._ask({"at": max(float(time), 0.0), "keep": self._reading})
            if picture is not None:
                yield float(facts["time"]), picture

    def close(self) -> None:
        """Let go of the file, where the reading of its frames was broken off."""
        if self._reading:
            self._reading = False
            _pool().run(Job("video", {}, seconds=_settings().decode_seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], Picture | None]:
        settings = _settings()
        whole = {"path": str(self.path), "max_pixels": self._most, **arguments}
        seconds = PATIENCE * settings.decode_seconds
        reply = _pool().run(Job("video", whole, b"", seconds, 3 * settings.max_pixels, _ADVICE))
        if reply.problem:
            raise BadInput(f"{subject(self.name)} {reply.problem}")
        return reply.values, picture_of(reply) if "at" in arguments else None


def open_video(
    path: Path, name: str = "", limits: Limits | None = None, *, most_pixels: int | None = None
) -> Video:
    """Open a video file, within the limits of the settings.

    Args:
        path: where it lies. MP4, MOV, WebM, MKV, AVI, MPEG, FLV, WMV or OGG; what it holds
            counts, not how it is called.
        name: how the user knows it; by default the path's last part.
        limits: of whoever opens it, where they are narrower than the settings.
        most_pixels: of a frame, where nothing else of a limit holds any more: the file is kept already.

    Raises:
        BadInput: one sentence that names the file and says what to do.
    """
    name = name or path.name
    most = limits.video_bytes if limits else _settings().max_video_bytes
    try:
        size = path.stat().st_size
        with path.open("rb"):
            pass
    except OSError as error:
        raise BadInput(f"{subject(name)} {why_unread(error, 'a video file')}") from error
    except ValueError as error:  # a path with a NUL
        raise BadInput(f"{subject(name)} is not the name of a file: choose a video file.") from error
    if not size:
        raise BadInput(f"{subject(name)} is empty (0 bytes): choose a video file.")
    if size > most:
        raise BadInput(
            f"{subject(name)} has {size / 1e6:,.0f} MB, more than the {most / 1e6:,.3g} MB of a video that "
            "are opened here: cut it shorter, or make it smaller."
        )
    video = Video(path.absolute(), name, limits.pixels if limits else most_pixels)
    longest = limits.video_seconds if limits else None
    if longest is not None and video.seconds > longest:
        raise BadInput(
            f"{subject(name)} lasts {video.seconds / 60:,.3g} minutes, more than the {longest / 60:,.3g} "
            "minutes of a video that are opened here: cut it shorter."
        )
    return video


def spread_times(seconds: float, count: int) -> tuple[float, ...]:
    """`count` times spread evenly over a video: the middles of equal parts.

    Middles rather than ends: the first and the last frame of a video are often black.
    """
    if count < 1:
        raise BadInput(f"At least 1 frame is taken of a video, found {count}: ask for more.")
    return tuple(round((part + 0.5) * seconds / count, 3) for part in range(count))


def rate_times(seconds: float, every: float, most: int) -> tuple[float, ...]:
    """A time every so many seconds from 0 on, at most `most` of them.

    Where there would be more they lie further apart, so that the end of a long video is not lost.
    """
    if not every > 0 or most < 1:
        raise BadInput(f"A frame is taken every so many seconds, found {every:g}: give a number above 0.")
    step = max(every, seconds / most)
    count = min(max(-int(-seconds // step), 1), most)
    return tuple(round(number * step, 3) for number in range(count))


@cache
def _pool() -> Pool:
    # Its own workers: frames that take long to reach keep nobody from opening images.
    return Pool(decode_memory())
