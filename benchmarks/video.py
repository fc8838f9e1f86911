"""Ten-minute videos: `python -m benchmarks.video [--json FILE]`.

Makes files of 1080p at 30 frames a second, opens each, takes a first look of 12 frames and
then walks through it in 60 frames, and prints the seconds, the memory of the worker at its
highest, and what the app's own process takes beside the frame that it holds.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlm_app.media import videos
from vlm_app.media.pool import Pool
from vlm_app.media.videos import Video, open_video, spread_times

SECONDS, RATE, SIZE = 600, 30, (1920, 1080)
FILES = {
    "H.264 in MP4, a key frame every 250": ("a.mp4", "libx264", {"preset": "ultrafast", "bf": "2"}),
    "VP9 in WebM, a key frame every 250": ("a.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "MPEG-4 in AVI, a key frame every 250": ("a.avi", "mpeg4", {}),
}
FIRST_LOOK, WALK = 12, 60


def make(path: Path, codec: str, options: dict[str, str]) -> None:
    """One part of 250 frames is encoded, and repeated until the time is full."""
    import av
    import numpy as np

    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.gop_size = "yuv420p", 250
        noise = np.random.default_rng(0).integers(0, 255, (SIZE[1] // 40, SIZE[0] // 40, 3), np.uint8)
        packets = []
        for number in range(250):
            moved = np.roll(noise, number, axis=1).repeat(40, axis=0).repeat(40, axis=1)
            packets += stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24"))
        packets += stream.encode(None)
        kept = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        base, rounds = packets[0].time_base, -(-SECONDS * RATE // 250)
        step = round(250 / RATE / base)
        for turn in range(rounds):
            for data, pts, dts, key in kept:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, base, key
                packet.pts, packet.dts = pts + turn * step, dts + turn * step
                file.mux(packet)


def memory(pid: int | str, name: str) -> int:
    """Bytes of memory of a process: `VmRSS` now, `VmHWM` at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def walk(video: Video, times: Sequence[float]) -> tuple[float, int]:
    """Seconds, and the app's own memory at the end above that at the fifth frame."""
    begun, early, now = time.monotonic(), 0, 0
    for number, _ in enumerate(video.frames(times)):
        now = memory("self", "VmRSS")
        early = now if number == 5 else early
    return time.monotonic() - begun, now - early


def measure(folder: Path, title: str) -> dict[str, float | str]:
    name, codec, options = FILES[title]
    path = folder / name
    make(path, codec, options)
    pool = Pool(memory=1_500_000_000, workers=1)
    videos._pool = lambda: pool  # one worker, whose memory can be asked for
    begun = time.monotonic()
    with open_video(path) as video:
        opened = time.monotonic() - begun
        look, _ = walk(video, spread_times(video.seconds, FIRST_LOOK))
        walked, grown = walk(video, spread_times(video.seconds, WALK))
    row: dict[str, float | str] = {
        "file": title,
        "MB": path.stat().st_size / 1e6,
        "minutes": video.seconds / 60,
        "open, s": opened,
        f"{FIRST_LOOK} frames, s": look,
        f"{WALK} frames, s": walked,
        "worker at most, MB": memory(pool._workers[0].pid or "self", "VmHWM") / 1e6,
        f"app grows over {WALK} frames, MB": grown / 1e6,
    }
    pool.close()
    path.unlink()
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure ten-minute videos.")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(Path(folder), title) for title in FILES]
    print(" | ".join(rows[0]))
    for row in rows:
        print(
            " | ".join(f"{value:.1f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    if args.json:
        args.json.write_text(json.dumps({"machine": platform.machine(), "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
