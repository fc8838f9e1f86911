"""What a user meets who opens a file that is no video, or a damaged one."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.media.opened_videos import Limits, limits, shown
from tests.media.video_files import make_sound, make_video, number_of
from vlm_app.errors import BadInput
from vlm_app.media import videos
from vlm_app.media.pool import Pool
from vlm_app.media.videos import open_video, spread_times

__all__ = ["limits"]


# --- what cannot be opened --------------------------------------------------------------


def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 48), "green").save(file, "PNG")
    return file.getvalue()


def swapped(path: Path, *pairs: tuple[bytes, bytes]) -> bytes:
    data = path.read_bytes()
    for old, new in pairs:
        assert old in data
        data = data.replace(old, new)
    return data


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.mp4", lambda whole: b"", "is empty (0 bytes): choose a video file."),
        ("cat.mp4", lambda whole: png(), "is not a video but a PNG image: open it as an image."),
        (
            "notes.mp4",
            lambda whole: b"Dear diary, " * 50,
            "is not a video that can be opened: expected MP4, MOV, WebM, MKV, AVI or MPEG, found text.",
        ),
        ("list.mp4", lambda whole: b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", "found text."),
        ("list.mp4", lambda whole: b"ffconcat version 1.0\nfile /etc/passwd\n", "found text."),
        (
            "half.mp4",
            lambda whole: whole.read_bytes()[:2000],
            "is damaged or cut off: expected a whole video, found no table of its frames; "
            "copy or download it again.",
        ),
        (
            "future.mp4",
            lambda whole: swapped(whole, (b"avc1", b"zzz9"), (b"avcC", b"zzzC")),
            "is stored in a format that cannot be decoded here: convert it to H.264 in an MP4 file.",
        ),
        (
            "sound.mp4",
            lambda whole: make_sound(whole.with_name("sound.m4a")).read_bytes(),
            "holds no video: expected moving pictures, found sound only; choose another file.",
        ),
    ],
)
def test_what_is_no_video_gets_one_sentence(
    tmp_path: Path, name: str, data: Callable[[Path], bytes], said: str
) -> None:
    whole = make_video(tmp_path / "whole.mp4")
    (tmp_path / name).write_bytes(data(whole))
    with pytest.raises(BadInput) as caught:
        open_video(tmp_path / name)
    sentence = caught.value.sentence
    assert sentence.startswith(f"“{name}” ")
    assert sentence.endswith(said)
    assert sentence.count(". ") == 0


def test_pictures_that_were_overwritten_get_one_sentence(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"“a\.mp4” holds no picture that can be decoded: it is damaged"):
        open_video(path)


def test_a_file_that_ends_early_shows_what_there_is_and_says_so(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=300, options={"movflags": "faststart"})
    import av

    early = tmp_path / "early.mp4"
    with (
        av.open(str(path)) as source,
        av.open(str(early), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = early.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    early.write_bytes(data[: data.index(b"mdat") + 2 * (len(data) - data.index(b"mdat")) // 5])
    with open_video(early) as video:
        assert 1 < video.seconds < 8
        assert video.note.startswith("cut off: it ends after")
        assert "of 10 seconds" in video.note
        assert [number_of(picture) for _, picture in video.frames([0.5])] == [15]


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("b.mkv", "mpeg4")])
def test_a_whole_film_whose_sound_goes_on_behind_its_last_picture_is_not_called_cut_off(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = make_video(tmp_path / name, codec, frames=60, sound=6.0)
    with open_video(path) as video:
        assert video.note == "" and video.seconds == pytest.approx(6, abs=0.1)
        assert [number_of(picture) for _, picture in video.frames([1.0, 5.5])] == [30, 59]


def test_a_film_with_sound_that_ends_early_says_so(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", frames=300, sound=10.0)
    data = path.read_bytes()
    path.write_bytes(data[: 2 * len(data) // 5])
    with open_video(path) as video:
        assert 1 < video.seconds < 8
        assert video.note.startswith("cut off: it ends after")


def test_a_file_whose_middle_is_broken_still_shows_the_rest(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", frames=300, key_every=30, reordered=0)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    middle = (start + end) // 2
    data[middle : middle + 200] = random.Random(3).randbytes(200)
    path.write_bytes(data)
    assert [number for _, number in shown(path, [0.5, 9.5])] == [15, 285]


def test_a_frame_as_large_as_a_hall_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", size=(8192, 5120), frames=1, options={"preset": "ultrafast"})
    with pytest.raises(BadInput, match=r"8,192 × 5,120 pixels, more than the 40 million of a frame"):
        open_video(path)


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_opens(
    tmp_path: Path, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pool = make_video(tmp_path / "a.mp4"), Pool(memory=1_000_000_000, workers=1)
    monkeypatch.setattr(videos, "_pool", lambda: pool)
    try:
        open_video(path)
        stuck = pool._workers[0].pid
        assert stuck is not None
        os.kill(stuck, signal.SIGSTOP)  # it takes as long as there is, on any machine
        limits(decode_seconds=0.1)
        with pytest.raises(BadInput, match=r"takes longer than 0\.3 s to open: cut it shorter, or convert"):
            open_video(path)
        limits(decode_seconds=20)
        assert shown(path, [1.0]) == [(1.0, 30)] and pool._workers[0].pid != stuck
    finally:
        pool.close()


def test_frames_that_do_not_fit_the_workers_memory_get_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", size=(6000, 4000), frames=2, options={"preset": "ultrafast"})
    pool = Pool(memory=300_000_000, workers=1)
    monkeypatch.setattr(videos, "_pool", lambda: pool)
    try:
        with pytest.raises(BadInput, match=r"needs more memory|holds no picture that can be decoded"):
            open_video(path)
    finally:
        pool.close()


def test_a_video_above_the_limit_is_refused_by_its_size(tmp_path: Path, limits: Limits) -> None:
    path = make_video(tmp_path / "a.mp4")
    limits(max_video_bytes=1000)
    with pytest.raises(BadInput, match=r"“a.mp4” has .* MB, more than the 0.001 MB of a video"):
        open_video(path)


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"“no\.mp4” does not exist"):
        open_video(tmp_path / "no.mp4")
    with pytest.raises(BadInput, match="is a folder: choose a video file in it"):
        open_video(tmp_path)


def test_random_damage_never_ends_in_anything_but_frames_or_a_sentence(tmp_path: Path) -> None:
    chance = random.Random(4)
    for name, codec in (
        ("a.mp4", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
    ):
        whole = make_video(tmp_path / name, codec).read_bytes()
        for _ in range(12):
            data = bytearray(whole[: chance.choice((len(whole), chance.randrange(1, len(whole))))])
            for _ in range(chance.randrange(0, 40)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            (tmp_path / name).write_bytes(data)
            try:
                with open_video(tmp_path / name) as video:
                    assert video.seconds > 0
                    list(video.frames(spread_times(min(video.seconds, 60), 3)))
            except BadInput as error:
                assert error.sentence.endswith(".")
