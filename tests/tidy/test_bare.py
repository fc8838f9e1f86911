"""What a picture tells beside itself is taken out, and the picture stays as it is."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.tidy.photos import KINDS, photo, tells, video
from vlm_app.media import open_image
from vlm_app.media.bare import bare, bare_file

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


def test_what_is_no_picture_stays_as_it_is(tmp_path: Path) -> None:
    for data in (b"", b"%PDF-1.7 SECRET", b"plain words", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a"):
        path = tmp_path / "a"
        path.write_bytes(data)
        bare_file(path)
        assert path.read_bytes()[: len(data)] == data
