"""What a user meets who opens a video: the right frames, upright, and what is said of bad files."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.opened_videos import Limits, limits, shown
from tests.media.video_files import make_video, number_of
from tests.sizes import SCRUBBED, VIDEO_RATE
from vlm_app.errors import BadInput
from vlm_app.media import images, open_image, videos
from vlm_app.media.pool import WORKERS, Pool
from vlm_app.media.videos import open_video, rate_times, spread_times

__all__ = ["limits"]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool of one worker, so that its process can be looked at."""
    pool = Pool(memory=1_500_000_000, workers=1)
    monkeypatch.setattr(videos, "_pool", lambda: pool)
    yield pool
    pool.close()


# --- the frames that are asked for ------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "key_every", "reordered"),
    [
        ("reordered.mp4", "libx264", 250, 3),
        ("keys.mov", "libx264", 12, 2),
        ("old.mp4", "mpeg4", 40, 2),
        ("web.webm", "libvpx-vp9", 250, 0),
        ("film.mkv", "libx264", 250, 3),
        ("stream.ts", "libx264", 30, 3),
        ("old.avi", "mpeg4", 12, 0),
    ],
)
def test_the_frame_at_a_time_is_exactly_that_frame(
    tmp_path: Path, name: str, codec: str, key_every: int, reordered: int
) -> None:
    path = make_video(tmp_path / name, codec, frames=300, key_every=key_every, reordered=reordered)
    times = [round(random.Random(1).uniform(0, 9.99), 3) for _ in range(25)]
    found = shown(path, [0, *times, *sorted(times)])
    asked = [0, *times, *sorted(times)]
    assert [number for _, number in found] == [int((time + 0.001) * 30) for time in asked]
    assert all(abs(time - number / 30) < 0.001 for time, number in found)


def test_a_frames_own_time_asked_again_gives_the_same_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=90)
    first = shown(path, [number / 30 for number in range(90)])
    assert [number for _, number in first] == list(range(90))
    assert shown(path, [time for time, _ in first]) == first


def test_times_before_the_first_frame_and_behind_the_last_give_those(tmp_path: Path) -> None:
    assert [number for _, number in shown(make_video(tmp_path / "a.mp4"), [-3, 0, 2.0, 1e6])] == [
        0,
        0,
        59,
        59,
    ]


def test_a_variable_frame_rate_is_followed(tmp_path: Path) -> None:
    gaps = random.Random(2)
    ticks = [0, *accumulate(gaps.choice((10, 33, 40, 500, 2000)) for _ in range(79))]
    for name, codec in (("phone.mp4", "libx264"), ("screen.webm", "libvpx-vp9")):
        path = make_video(tmp_path / name, codec, frames=ticks)
        times = [tick / 1000 for tick in ticks]
        assert shown(path, times) == [(time, number) for number, time in enumerate(times)]
        between = [time + 0.004 for time in times]
        assert [number for _, number in shown(path, between)] == list(range(80))
        with open_video(path) as video:
            assert video.seconds >= times[-1]


def test_a_stream_that_was_cut_out_of_a_longer_one_begins_at_zero(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.ts", frames=[100_000 + 40 * number for number in range(50)])
    assert shown(path, [0, 1.0]) == [(0.0, 0), (1.0, 25)]
    with open_video(path) as video:
        assert 1.9 < video.seconds < 2.1


def test_a_file_without_a_duration_in_its_header_has_one(tmp_path: Path) -> None:
    path = make_video(tmp_path / "recorded.webm", "libvpx-vp9", frames=100, rate=25)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88")  # Matroska's Duration, 8 bytes long
    data[at : at + 2] = b"\xec\x89"  # Void: what browsers record has none
    path.write_bytes(bytes(data).replace(b"\x1c\x53\xbb\x6b", b"\x1c\x53\xbb\x6c"))  # nor an index
    with open_video(path) as video:
        assert abs(video.seconds - 4) < 0.1
        assert video.note == ""
    assert [number for _, number in shown(path, [3.0, 0.5, 3.9])] == [75, 12, 97]


def test_a_phones_video_is_upright(tmp_path: Path) -> None:
    wide = np.asarray(next(open_video(make_video(tmp_path / "plain.mp4")).frames([0]))[1].pixels)
    for turned in (90, 180, -90):
        with open_video(make_video(tmp_path / "turned.mp4", turned=turned)) as video:
            _, picture = next(video.frames([0]))
        assert video.size == picture.size == ((96, 160) if turned % 180 else (160, 96))
        expected = np.rot90(wide, turned // 90)
        assert np.abs(np.asarray(picture.pixels, int) - expected).mean() < 3


def test_colours_are_those_that_were_filmed(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("a.webm", "libvpx-vp9")):
        with open_video(make_video(tmp_path / name, codec)) as video:
            _, picture = next(video.frames([0]))
        left, right = (picture.pixels.getpixel((x, 85)) for x in (20, 140))
        assert np.abs(np.subtract(left, (255, 0, 0))).max() < 12
        assert np.abs(np.subtract(right, (0, 0, 255))).max() < 12


def test_large_frames_are_made_smaller(tmp_path: Path, limits: Limits) -> None:
    path = make_video(tmp_path / "large.mp4", size=(640, 360), frames=10)
    limits(max_pixels=40_000)
    with open_video(path) as video:
        _, picture = next(video.frames([0.2]))
    assert picture.size == video.size == (266, 150)
    assert number_of(picture) == 6


def test_sound_beside_the_picture_is_left_out(tmp_path: Path) -> None:
    assert shown(make_video(tmp_path / "a.mp4", sound=1.0), [1.0]) == [(1.0, 30)]


# --- ten minutes ------------------------------------------------------------------------


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("name", "codec"), [("long.mp4", "libx264"), ("long.webm", "libvpx-vp9"), ("long.avi", "mpeg4")]
)
def test_ten_minutes_are_walked_through_in_flat_memory(
    tmp_path: Path, worker: Pool, name: str, codec: str
) -> None:
    fast = {"libx264": {"preset": "ultrafast", "bf": "2"}}.get(codec)
    path = make_video(
        tmp_path / name, codec, frames=600 * VIDEO_RATE, rate=VIDEO_RATE, size=(480, 270), options=fast
    )
    with open_video(path) as video:
        assert abs(video.seconds - 600) < 1
        times = spread_times(video.seconds, 150)  # 58 MB of pixels
        here, there = [], []
        for wanted, (time, picture) in zip(times, video.frames(times), strict=True):
            assert abs(number_of(picture) - int((wanted + 0.001) * VIDEO_RATE)) <= (codec == "mpeg4")
            assert -0.0011 <= wanted - time <= 1.1 / VIDEO_RATE  # times are in whole milliseconds
            here.append(resident(os.getpid()))
            there.append(resident(worker._workers[0].pid or 0))
    assert max(here[10:]) - here[10] < 15_000_000, "the app holds one frame at a time"
    assert max(there[10:]) - there[10] < 15_000_000
    assert max(there) < 250_000_000, "the worker's memory for a video of this size"


def test_scrubbing_back_and_forth_does_not_read_the_file_again_each_time(
    tmp_path: Path, worker: Pool
) -> None:
    import time

    path = make_video(tmp_path / "a.mp4", frames=SCRUBBED + 100, rate=30, options={"preset": "ultrafast"})
    with open_video(path) as video:
        begun = time.monotonic()
        pictures = (picture for _, picture in video.frames(np.arange(SCRUBBED) / 30))
        assert [number_of(picture) for picture in pictures] == list(range(SCRUBBED))
        assert time.monotonic() - begun < 30, "each frame is decoded once"


def test_breaking_off_lets_go_of_the_file(tmp_path: Path, worker: Pool) -> None:
    path = make_video(tmp_path / "a.mp4")
    with open_video(path) as video:
        for _ in video.frames([0, 1]):
            break
        held = Path(f"/proc/{worker._workers[0].pid}/fd")
        assert str(path) in {os.readlink(link) for link in held.iterdir()}
    assert str(path) not in {os.readlink(link) for link in held.iterdir()}


# --- which times ------------------------------------------------------------------------


def test_frames_by_count_are_the_middles_of_equal_parts() -> None:
    assert spread_times(10, 4) == (1.25, 3.75, 6.25, 8.75)
    assert spread_times(3, 1) == (1.5,)
    with pytest.raises(BadInput, match="At least 1 frame"):
        spread_times(10, 0)


def test_frames_by_rate_begin_at_zero_and_reach_the_end_of_a_long_video() -> None:
    assert rate_times(10, 3, 100) == (0, 3, 6, 9)
    assert rate_times(9, 3, 100) == (0, 3, 6)
    assert rate_times(0.5, 1, 10) == (0,)
    assert rate_times(600, 1, 4) == (0, 150, 300, 450)
    with pytest.raises(BadInput, match="above 0"):
        rate_times(10, 0, 5)


def test_a_video_that_takes_its_time_keeps_nobody_from_opening_images(tmp_path: Path) -> None:
    """Both workers of videos are busy for as long as a broken file may take."""
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    pool = videos._pool()
    taken = [pool._free.get() for _ in range(WORKERS)]
    try:
        assert open_image(path).size == (8, 8)
    finally:
        for worker in taken:
            pool._free.put(worker)


def test_the_limits_of_images_are_not_widened_for_videos() -> None:
    memory = {worker._memory for pool in (videos._pool(), images._pool()) for worker in pool._workers}
    assert memory == {images.decode_memory()}
