"""Videos that are made for tests: every frame shows its own number, as stripes of black and white."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vlm_app.types import Picture

BITS = 15  # stripes: numbers up to 32,767
SIZE = (160, 96)
LOSSY = {"libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"}}


def numbered(number: int, size: tuple[int, int] = SIZE) -> np.ndarray[Any, Any]:
    """RGB pixels that say `number`: bit 0 at the left, white for 1; the lower third is red on the left."""
    bits = np.arange(size[0]) * BITS // size[0]  # of each column
    stripes = (255 * (number >> bits & 1)).astype(np.uint8)
    pixels = np.repeat(np.repeat(stripes[None, :, None], 3, axis=2), size[1], axis=0)
    third = size[1] // 3
    pixels[-third:] = (0, 0, 255)
    pixels[-third:, : size[0] // 2] = (255, 0, 0)
    return pixels


def number_of(picture: Picture) -> int:
    """The number that a frame shows."""
    pixels = np.asarray(picture.pixels)
    wide = picture.size[0] / BITS
    row = pixels[picture.size[1] // 3]
    return sum(int(row[int((bit + 0.5) * wide)].mean() > 127) << bit for bit in range(BITS))


def make_video(
    path: Path,
    codec: str = "libx264",
    *,
    frames: int | Sequence[int] = 60,
    rate: int = 30,
    size: tuple[int, int] = SIZE,
    key_every: int = 250,
    reordered: int = 3,
    turned: int = 0,
    options: dict[str, str] | None = None,
    sound: float = 0.0,
) -> Path:
    """A video of numbered frames.

    Args:
        frames: how many, or the time of each in ticks of 1/1000 s: a variable rate.
        key_every: frames between key frames.
        reordered: B-frames between two others; 0: none.
        turned: degrees counterclockwise by which a player has to turn it.
        sound: seconds of silence.
    """
    import av

    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=rate, options=options or LOSSY.get(codec, {}))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = key_every
        stream.codec_context.max_b_frames = reordered if codec in ("libx264", "mpeg4") else 0
        if turned:
            stream.set_display_rotation(turned)
        ticks = None if isinstance(frames, int) else list(frames)
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        audio: Any = file.add_stream("aac", rate=44100) if sound else None
        for number in range(frames if isinstance(frames, int) else len(frames)):
            frame = av.VideoFrame.from_ndarray(numbered(number, size), format="rgb24")
            if ticks is not None:
                frame.pts, frame.time_base = ticks[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if audio is not None:
            file.mux(_silence(audio, round(sound * 44100 / 1024)))
    return path


def make_sound(path: Path) -> Path:
    """A file that holds sound only."""
    import av

    with av.open(str(path), "w") as file:
        file.mux(_silence(file.add_stream("aac", rate=44100), 50))
    return path


def _silence(stream: Any, frames: int) -> Iterable[Any]:
    import av

    for number in range(frames):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, number * 1024
        yield from stream.encode(frame)
    yield from stream.encode(None)
