"""What a picture tells beside itself is taken out, and the picture stays as it is."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.tidy.photos import KINDS, photo, tells, video
from vlm_app.media import open_image
from vlm_app.media.bare import bare, bare_file
from vlm_app.settings import settings

TURNED = [("JPEG", 6), ("PNG", 6), ("WEBP", 8), ("TIFF", 3)]


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_told_and_no_pixel_changes(kind: str) -> None:
    data = photo(kind)
    assert tells(data)
    after = bare(data)
    assert tells(after) == [] and pixels(after) == pixels(data)
    assert bare(after) == after


@pytest.mark.parametrize(("kind", "orientation"), TURNED)
def test_it_is_turned_as_before(kind: str, orientation: int) -> None:
    data = photo(kind, orientation)
    after = bare(data)
    assert tells(after) == []
    assert open_image(after).sha256 == open_image(data).sha256 != open_image(photo(kind)).sha256


def test_colours_stay_those_of_the_profile() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8), "red").save(file, kind, icc_profile=profile)
        assert Image.open(io.BytesIO(bare(file.getvalue()))).info["icc_profile"] == profile


def test_animations_and_pages_stay_whole() -> None:
    frames = [Image.new("RGB", (8, 8), (number * 60, 0, 0)) for number in range(4)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        after = Image.open(io.BytesIO(bare(file.getvalue())))
        assert getattr(after, "n_frames", 1) == 4
        after.seek(3)
        assert after.convert("RGB").getpixel((4, 4)) == pytest.approx((180, 0, 0), abs=8)


@pytest.mark.parametrize("kind", KINDS)
def test_broken_and_cut_files_neither_fail_nor_grow(kind: str) -> None:
    data = photo(kind)
    for end in range(0, len(data), 7):
        assert len(bare(data[:end])) <= end + 40
    for at in range(8, min(len(data), 600), 5):
        bare(data[:at] + b"\xff" + data[at + 1 :])
        bare(data[:at] + b"\0" + data[at + 1 :])


def test_a_video_says_no_place_and_its_parts_lie_where_they_lay(tmp_path: Path) -> None:
    path, data = tmp_path / "a.mp4", video()
    path.write_bytes(data)
    assert bare_file(path)
    after = path.read_bytes()
    assert b"SECRET" not in after and b"48.8584" not in after
    assert len(after) == len(data) and after.index(b"mdat") == data.index(b"mdat")
    assert after.endswith(b"mdatpixels") and b"tkhd" in after
    assert not bare_file(path)


def matroska(path: Path, **options: str) -> Path:
    """A video that tells in its tags, in the name of its track and in an attached picture."""
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(
            title="SECRET-TITLE", location="+48.8584+002.2945", comment="SECRET-TAG" * 50
        )
        stream = container.add_stream("vp9" if path.suffix == ".webm" else "mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata.update(title="SECRET-TRACK")
        for number in range(6):
            image = Image.new("RGB", (64, 48), (number * 40, 0, 0))
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
    return path


def frames(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        assert not any("SECRET" in value for value in container.metadata.values())
        container.seek(600_000)  # by the file's own index
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
@pytest.mark.parametrize("live", ["0", "1"])
def test_matroska_and_webm_say_no_place_and_no_frame_changes(tmp_path: Path, name: str, live: str) -> None:
    path = matroska(tmp_path / name, live=live)
    data = path.read_bytes()
    with av.open(str(path)) as container:
        seen = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
    assert b"SECRET" in data and b"48.8584" in data and b"Lavf" in data
    assert bare_file(path)
    after = path.read_bytes()
    for told in (b"SECRET", b"48.8584", b"Lavf"):
        assert told not in after
    assert len(after) == len(data) and len(seen) == 6
    with av.open(str(path)) as container:
        assert [frame.to_ndarray().tobytes() for frame in container.decode(video=0)] == seen
    assert frames(path)
    assert not bare_file(path)


def test_matroska_that_is_cut_off_or_lies_ends_soon(tmp_path: Path) -> None:
    data, path = matroska(tmp_path / "a.mkv").read_bytes(), tmp_path / "b.mkv"
    for end in range(4, 600, 7):
        path.write_bytes(data[:end])
        bare_file(path)
        assert path.stat().st_size == end
    path.write_bytes(data[:4] + b"\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\xbf\x80" * 500_000)
    begun = time.process_time()
    bare_file(path)
    assert time.process_time() - begun < 3


def test_what_is_no_picture_stays_as_it_is(tmp_path: Path) -> None:
    for data in (b"", b"%PDF-1.7 SECRET", b"plain words", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a"):
        path = tmp_path / "a"
        path.write_bytes(data)
        bare_file(path)
        assert path.read_bytes()[: len(data)] == data


def lying_upon_each_other() -> bytes:
    """A large TIFF of 10,000 directories of 4,000 entries in 280 KB: each begins an entry after the last."""
    count, directories = 4000, 10_000
    piece = struct.pack("<QHHQ", count, 0x0100, 1, 1)  # a count, which is also the value of an entry
    data = bytearray(b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + piece * (count + directories + 1))
    for number in range(directories):
        struct.pack_into("<Q", data, 24 + 20 * (number + count), 16 + 20 * (number + 1))
    return bytes(data)


def saying_the_same() -> bytes:
    """A TIFF of which 4,000 entries point to the same 16 MB."""
    entry = struct.pack("<HHII", 0x010E, 1, 16_000_000, 50_000)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 4000) + entry * 4000 + bytes(16_100_000)


@pytest.mark.parametrize("made", [lying_upon_each_other, saying_the_same])
def test_parts_that_lie_upon_each_other_cost_little(made: Callable[[], bytes]) -> None:
    data = made()
    begin = time.process_time()
    assert len(bare(data)) == len(data)
    assert time.process_time() - begin < 1.5


def test_a_chain_of_pointed_directories_is_followed_without_depth() -> None:
    one = b"\1\0" + struct.pack("<HHI", 0x8769, 4, 1)
    chain = b"".join(one + struct.pack("<II", 8 + 18 * (number + 1), 0) for number in range(2000))
    data = b"II*\0\x08\0\0\0" + chain
    assert len(bare(data)) == len(data)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**62])
def test_numbers_that_no_file_can_hold_are_no_error(number: int) -> None:
    large = struct.pack("<Q", number)
    head = b"II+\0\x08\0\0\0"
    pointer = struct.pack("<QHHQQQ", 1, 0x8769, 4, 1, number, 0)
    for data in (head + large, head + b"\x10" + bytes(7) + large, head + b"\x10" + bytes(7) + pointer):
        assert len(bare(data)) == len(data)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"\xff\xd8", b"\xff\xdb\0\2"),
        (b"\xff\xd8", b"\xff"),
        (b"\x89PNG\r\n\x1a\n", struct.pack(">I4sI", 0, b"IDAT", 0)),
        (b"GIF89a" + bytes(7), b"!\x01\0"),
        (b"RIFF\xff\xff\xff\0WEBP", struct.pack("<4sI", b"ALPH", 0)),
    ],
)
def test_what_is_cut_finely_takes_no_more_memory_than_the_file(head: bytes, piece: bytes) -> None:
    data = head + piece * (3_000_000 // len(piece))
    begin = time.process_time()
    tracemalloc.start()
    try:
        after = bare(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(after) in (len(data), len(data) + 1) and after[12:] == data[12 : len(after)]
    assert peak < 20_000_000
    assert time.process_time() - begin < 5


def test_an_image_that_is_too_large_to_be_opened_is_not_taken_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(photo("JPEG"))
    monkeypatch.setenv("VLM_APP_MAX_BYTES", "500")
    settings.cache_clear()
    assert not bare_file(path)
    monkeypatch.delenv("VLM_APP_MAX_BYTES")
    settings.cache_clear()
    assert bare_file(path)
