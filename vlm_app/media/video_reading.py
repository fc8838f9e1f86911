"""Video files to upright RGB frames, with PyAV. This runs in the decode worker.

A time is in seconds from the start of the file, as a player shows it. A frame is found by
going back to the key frame before it and decoding from there, so it is the exact one,
whatever lies between: reordered frames, changing rates, or four minutes without a key frame.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from vlm_app.media import names
from vlm_app.media.decode import Unreadable

# Containers that are read. Others are images, text, or play lists that open further files.
FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,asf,flv,ogg"
MOST_DECODED = 40_000_000  # pixels of a frame as it is stored: 8K has 33 million
ROUNDED = 0.001  # seconds: times are kept in milliseconds, so a frame's own time may be asked a bit early
SEEKS_BACK = (0.0, 1.0, 5.0, 30.0)  # seconds, where a key frame is not where the index says
NEAR = 10.0  # seconds that are decoded on rather than sought, where a file has no index
SAMPLE = 4096  # bytes by which a file is recognised
_THREADS = 2  # every further one holds frames of its own
_CONVERT = "convert it to H.264 in an MP4 file"

_kept: dict[str, VideoReader] = {}  # at most one: the next frame of the same file goes on from where it is


def work(arguments: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """The worker's job `video`.

    With `path` and `max_pixels` alone, the file's facts come out: `seconds`, `shown` (width,
    height), `rate` and `note`. With `at` (seconds) also `size`, `time` and the frame's RGB bytes.
    With `keep` the file stays open for the next frame; with no `path` it is closed.
    """
    path, keep = arguments.get("path", ""), bool(arguments.get("keep"))
    reader = _kept.pop(path, None)
    for other in list(_kept):
        _kept.pop(other).close()
    if not path:
        return {}, b""
    try:
        reader = reader or VideoReader(Path(path))
        if "at" in arguments:
            values, pixels = reader.picture(float(arguments["at"]), int(arguments["max_pixels"]))
        else:
            values, pixels = reader.facts(int(arguments["max_pixels"])), b""
        if keep:
            _kept[path] = reader
        return values, pixels
    finally:
        if reader is not None and path not in _kept:
            reader.close()


class VideoReader:
    """An open video file. Raises `Unreadable` with what is wrong and what to do."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._container = _opened(self._file)
            self._stream = _video_stream(self._container)
        except BaseException:
            self._file.close()
            raise
        # A player's zero: what a cut transport stream counts from is not shown.
        self._origin = max((self._container.start_time or 0) / 1_000_000, 0.0)
        self._coming: Iterator[Any] = iter(())
        self._frame: Any = None  # the last one that was asked for
        self._ahead: Any = None  # the one behind it, which is decoded already

    def close(self) -> None:
        """Give everything back now: a decoder keeps threads and frames as long as it is referred to."""
        self._coming = iter(())
        self._frame = self._ahead = self._stream = None
        self._container.close()
        self._container = None
        self._file.close()

    # --- facts --------------------------------------------------------------------------

    def facts(self, max_pixels: int) -> dict[str, Any]:
        """How long it lasts, the size of its frames as they are shown, and how many come in a second."""
        first = self._at(0.0)
        end, note = self._end()
        rate = self._stream.average_rate or self._stream.guessed_rate or 0
        return {
            "seconds": max(end, self._time(first) + (1 / float(rate) if rate else ROUNDED)),
            "shown": _within(_shown_size(first, self._stream), max_pixels),
            "rate": float(rate),
            "note": note,
        }

    def _end(self) -> tuple[float, str]:
        """When the last frame ends: read from its packets, because headers are missing or lie.

        Where the header says only how long the whole file lasts, and its sound does go on until
        then, the last frame is shown so long.
        """
        stated = self._stated()
        end = self._last_packet(stated - 1.0) if stated > 1.0 else 0.0
        end = end or self._last_packet(0.0)
        missing = max(1.0, 0.02 * stated)  # seconds from which on a file counts as cut off
        if stated - end <= missing:
            return end, ""
        if not self._stream.duration and stated - self._last_packet(stated - 1.0, every=True) <= missing:
            return stated, ""
        return end, (
            f"cut off: it ends after {end:,.0f} of {stated:,.0f} seconds; "
            "copy or download it again to see the rest"
        )

    def _stated(self) -> float:
        """What the header says, or 0."""
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        return (self._container.duration or 0) / 1_000_000

    def _last_packet(self, since: float, every: bool = False) -> float:
        """The end of the last frame after `since` as its packet states it; 0 where none was found.

        With `every`, that of the last packet of any stream.
        """
        end = 0.0
        self._seek(since)
        for packet in self._packets(every):
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None:
                seconds = float((stamp + (packet.duration or 0)) * packet.time_base) - self._origin
                end = max(end, seconds)
        return end

    # --- frames -------------------------------------------------------------------------

    def picture(self, at: float, max_pixels: int) -> tuple[dict[str, Any], bytes]:
        """The last frame at or before `at` (the first one, where none is), upright."""
        frame = self._at(at)
        image = _upright(frame, self._stream, max_pixels)
        return {"size": image.size, "time": self._time(frame), "note": ""}, image.tobytes()

    def _at(self, at: float) -> Any:
        late = at + ROUNDED
        if not self._goes_on(late):
            self._go_back(at, late)
        while self._ahead is not None and self._time(self._ahead) <= late:
            self._frame, self._ahead = self._ahead, next(self._coming, None)
        return self._frame

    def _goes_on(self, late: float) -> bool:
        """Whether decoding on from here is the shortest way to that time."""
        if self._frame is None or self._time(self._frame) > late:
            return False
        here = self._time(self._frame)
        entries = self._stream.index_entries
        number = entries.search_timestamp(self._stamp(late)) if len(entries) else -1
        if number < 0:
            return late - here < NEAR
        key = float(entries[number].timestamp * self._stream.time_base) - self._origin
        return key <= here + ROUNDED

    def _go_back(self, at: float, late: float) -> None:
        for back in (*SEEKS_BACK, math.inf):
            self._seek(at - back)
            self._coming = self._decoded()
            self._frame = next(self._coming, None)  # of broken files there may be none
            if back is math.inf or (self._frame is not None and self._time(self._frame) <= late):
                break
        if self._frame is None:
            raise Unreadable(
                "holds no picture that can be decoded: it is damaged or cut off; copy it again, "
                f"or {_CONVERT}."
            )
        self._ahead = next(self._coming, None)

    def _seek(self, seconds: float) -> None:
        import av

        self._frame = self._ahead = None
        stamp = self._stamp(seconds) if seconds > 0 else -(1 << 40)
        with suppress(av.error.FFmpegError):
            self._container.seek(stamp, stream=self._stream, backward=True)
            return
        # Some files cannot be sought in; all can be read from the start.
        self._container.close()
        self._file.seek(0)
        self._container = _opened(self._file)
        self._stream = _video_stream(self._container)

    def _stamp(self, seconds: float) -> int:
        return int((seconds + self._origin) / self._stream.time_base)

    def _packets(self, every: bool = False) -> Iterator[Any]:
        """The packets from here on, as many as can be read; with `every`, those of all streams."""
        import av

        packets = self._container.demux() if every else self._container.demux(self._stream)
        with suppress(av.error.InvalidDataError, av.error.EOFError):
            yield from packets

    def _decoded(self) -> Iterator[Any]:
        """The frames from here on; what is broken among them is left out, as players do."""
        import av

        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            except av.error.EOFError:
                return
            except OSError as error:
                if error.errno == errno.ENOMEM:
                    raise MemoryError from error
                raise
            yield from (frame for frame in frames if frame.pts is not None or frame.dts is not None)

    def _time(self, frame: Any) -> float:
        stamp = frame.dts if frame.pts is None else frame.pts
        return round(max(float(stamp * frame.time_base) - self._origin, 0.0), 3)


# --- opening ----------------------------------------------------------------------------


def _opened(file: BinaryIO) -> Any:
    import av

    try:
        return av.open(file, container_options={"format_whitelist": FORMATS})
    except (av.error.FFmpegError, ValueError) as error:
        if getattr(error, "errno", 0) == errno.ENOMEM:
            raise MemoryError from error
        raise _foreign(file) from error


def _foreign(file: BinaryIO) -> Unreadable:
    """What a file is that no container was recognised in."""
    file.seek(0)
    head = file.read(SAMPLE)
    if image := names.format_of(head):
        return Unreadable(f"is not a video but a {image} image: open it as an image.")
    if (kind := names.kind_of(head)) == "a video":
        return Unreadable(
            "is damaged or cut off: expected a whole video, found no table of its frames; "
            "copy or download it again."
        )
    return Unreadable(
        f"is not a video that can be opened: expected MP4, MOV, WebM, MKV, AVI or MPEG, found {kind}."
    )


def _video_stream(container: Any) -> Any:
    """The first stream of moving pictures, its decoder ready."""
    from av.stream import Disposition

    moving = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not moving:
        found = "sound only" if container.streams.audio else "neither pictures nor sound"
        raise Unreadable(f"holds no video: expected moving pictures, found {found}; choose another file.")
    stream = moving[0]
    context = stream.codec_context
    if context is None:
        raise Unreadable(f"is stored in a format that cannot be decoded here: {_CONVERT}.")
    if context.width * context.height > MOST_DECODED:
        raise Unreadable(
            f"is {context.width:,} × {context.height:,} pixels, more than the {MOST_DECODED / 1e6:.0f} "
            "million of a frame that are decoded here: make it smaller first."
        )
    context.thread_count = _THREADS
    context.thread_type = "AUTO"
    return stream


# --- pixels -----------------------------------------------------------------------------


def _shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    """(width, height) as a player shows a frame: square pixels, upright."""
    width, height = frame.width, frame.height
    aspect = stream.sample_aspect_ratio
    if aspect and 0.01 < aspect < 100:
        width = max(round(width * float(aspect)), 1)
    return (height, width) if frame.rotation % 180 else (width, height)


def _within(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The size, made smaller until it has at most so many pixels."""
    width, height = size
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    return max(int(width * scale), 1), max(int(height * scale), 1)


def _upright(frame: Any, stream: Any, max_pixels: int) -> Image.Image:
    width, height = _within(_shown_size(frame, stream), max_pixels)
    turn = frame.rotation % 360
    stored = (height, width) if turn % 180 else (width, height)
    shown = frame.reformat(
        *stored,
        format="rgb24",
        src_color_range=frame.color_range or None,
        interpolation="AREA",
        threads=1,
    )
    image: Image.Image = shown.to_image()
    turns = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
    return image.transpose(turns[turn]) if turn in turns else image
