"""What a user meets who uploads good, odd and hostile images."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from vlm_app.errors import BadInput
from vlm_app.media import images, open_image
from vlm_app.media.pool import Job, Pool, Reply
from vlm_app.settings import settings

GIGABYTE = 1_000_000_000


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """The default limits, whatever the environment says; call it to set others."""

    def limits(**values: float) -> None:
        settings.cache_clear()
        for key, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{key.upper()}", str(value))

    limits(max_bytes=20_000_000, max_pixels=50_000_000, decode_seconds=20)
    yield limits
    settings.cache_clear()


def scene() -> Image.Image:
    """A 60 x 40 picture whose four corners differ: red, green / blue, black."""
    image = Image.new("RGB", (60, 40), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 19, 9), fill=(255, 0, 0))
    draw.rectangle((40, 0, 59, 9), fill=(0, 255, 0))
    draw.rectangle((0, 30, 19, 39), fill=(0, 0, 255))
    draw.rectangle((40, 30, 59, 39), fill=(0, 0, 0))
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG file written by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def progressive(side: int, scans: int) -> bytes:
    """A progressive JPEG whose first scan is repeated: small on disk, slow to decode."""
    data = encoded(Image.new("RGB", (side, side), (90, 120, 40)), "JPEG", progressive=True)
    start = data.index(b"\xff\xc4")  # tables and scan follow each other
    first = data.index(b"\xff\xda", start)
    end = re.compile(rb"\xff[\xc4\xda\xd9]").search(data, first + 2)
    assert end is not None
    return data[:start] + data[start : end.start()] * scans + data[end.start() :]


def near(image: Image.Image, place: tuple[int, int], colour: tuple[int, int, int], within: int = 0) -> bool:
    found = image.getpixel(place)
    assert isinstance(found, tuple)
    return all(abs(a - b) <= within for a, b in zip(found, colour, strict=True))


def refusal(data: bytes | Path, name: str = "holiday.png") -> str:
    """The sentence for a file that is refused: one sentence that leaks nothing, within two seconds."""
    started = time.monotonic()
    with pytest.raises(BadInput) as caught:
        open_image(data, name=name)
    assert time.monotonic() - started < 2.0
    sentence = caught.value.sentence
    assert sentence.endswith(".") and "\n" not in sentence
    assert not re.search(r"0x[0-9a-f]{4}|/tmp|vlm_app|Error|PIL|Traceback|BytesIO", sentence), sentence
    return sentence


# --- formats and modes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "within"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 12),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 12),
    ],
)
def test_every_allowed_format_opens_with_its_colours(kind: str, options: dict[str, Any], within: int) -> None:
    picture = open_image(encoded(scene(), kind, **options), name="x")
    assert picture.size == (60, 40)
    assert picture.note == ""
    assert near(picture.pixels, (5, 5), (255, 0, 0), within)
    assert near(picture.pixels, (55, 5), (0, 255, 0), within)
    assert near(picture.pixels, (5, 35), (0, 0, 255), within)
    assert near(picture.pixels, (30, 20), (255, 255, 255), within)


def test_the_content_counts_and_not_the_name() -> None:
    assert open_image(encoded(scene(), "JPEG"), name="really.png").size == (60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_taken_in_any_orientation_is_upright(kind: str, orientation: int) -> None:
    # How a camera stores an upright scene under each orientation (the inverse of its tag).
    stored = {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }[orientation]
    image = scene()
    for step in stored:
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = (
        {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    )
    picture = open_image(encoded(image, kind, exif=exif, **options), name="photo")
    assert picture.size == (60, 40)
    for place in ((0, 0), (19, 9), (40, 0), (59, 9), (0, 30), (19, 39), (40, 30), (59, 39), (30, 20)):
        expected = scene().getpixel(place)
        assert isinstance(expected, tuple)
        assert near(
            picture.pixels, place, (expected[0], expected[1], expected[2]), 40 if kind == "JPEG" else 0
        )


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(scene(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\x01\x00")
    assert open_image(data, name="x").size == (60, 40)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (0, 255), (0, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("RGBA", (9, 8, 7, 255), (9, 8, 7)),
        ("I;16", 65535, (255, 255, 255)),
        ("I;16", 257 * 100, (100, 100, 100)),
        ("I;16", 0, (0, 0, 0)),
    ],
)
def test_a_png_of_any_mode_shows_what_a_person_sees(
    mode: str, colour: Any, seen: tuple[int, int, int]
) -> None:
    image = Image.new(mode, (4, 3))
    image.paste(colour, (0, 0, 4, 3))
    assert near(open_image(encoded(image, "PNG"), name="x").pixels, (1, 1), seen)


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("LAB", (255, 128, 128), None),
        ("I", 257 * 100, (100, 100, 100)),
        ("I;16B", 257 * 100, (100, 100, 100)),
        ("F", 0.5, (128, 128, 128)),
        ("F", 200.0, (200, 200, 200)),
    ],
)
def test_a_tiff_of_a_wide_mode_is_scaled_and_not_clipped(
    mode: str, colour: Any, seen: tuple[int, int, int] | None
) -> None:
    picture = open_image(encoded(Image.new(mode, (4, 3), colour), "TIFF"), name="x")
    assert picture.pixels.mode == "RGB"
    assert seen is None or near(picture.pixels, (1, 1), seen, 1)


def test_numbers_outside_any_usual_range_are_stretched() -> None:
    image = Image.new("F", (2, 1), -1000.0)
    image.putpixel((1, 0), 3000.0)
    picture = open_image(encoded(image, "TIFF"), name="x")
    assert near(picture.pixels, (0, 0), (0, 0, 0), 1) and near(picture.pixels, (1, 0), (255, 255, 255), 1)


def test_numbers_that_are_none_are_refused() -> None:
    assert "not numbers" in refusal(encoded(Image.new("F", (2, 2), float("nan")), "TIFF"))


def test_an_inverted_cmyk_jpeg_of_a_layout_program_has_its_colours() -> None:
    # Adobe writes CMYK JPEGs inverted and says so in an APP14 segment, as Pillow does too.
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    assert near(open_image(data, name="x").pixels, (8, 8), (255, 0, 0), 6)


@pytest.mark.parametrize("options", [{"transparency": 0}, {"transparency": bytes([0, 255])}])
def test_a_palette_with_transparency_lies_on_white(options: dict[str, Any]) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 10, 10])
    image.putpixel((1, 0), 1)
    pixels = open_image(encoded(image, "PNG", **options), name="x").pixels
    assert near(pixels, (0, 0), (255, 255, 255)) and near(pixels, (1, 0), (200, 10, 10))


def test_a_turned_palette_image_keeps_its_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 10, 10])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = open_image(encoded(image, "PNG", transparency=0, exif=exif), name="x")
    assert picture.size == (1, 2) and near(picture.pixels, (0, 0), (255, 255, 255))


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 65535, 257 * 100, 0)), (255, 100, 0)),
        (png(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 65535, 257 * 100, 0, 65535)), (255, 100, 0)),
        (png(1, 1, 16, 6, b"\0" + struct.pack(">HHHH", 65535, 257 * 100, 0, 0)), (255, 255, 255)),
        (png(1, 1, 16, 4, b"\0" + struct.pack(">HH", 257 * 100, 65535)), (100, 100, 100)),
        (
            png(1, 1, 16, 0, b"\0" + struct.pack(">H", 300), chunk(b"tRNS", struct.pack(">H", 300))),
            (255, 255, 255),
        ),
        (png(1, 1, 8, 2, b"\0\1\2\3", chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))), (255, 255, 255)),
        (png(1, 1, 8, 2, b"\0\1\2\4", chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))), (1, 2, 4)),
        (png(1, 1, 1, 0, b"\0\0", chunk(b"tRNS", struct.pack(">H", 0))), (255, 255, 255)),
        (png(1, 1, 2, 0, b"\0\x40"), (85, 85, 85)),
    ],
    ids=[
        "rgb16",
        "rgba16",
        "rgba16 clear",
        "la16",
        "grey16 key",
        "rgb key",
        "rgb no key",
        "1-bit key",
        "2-bit",
    ],
)
def test_rare_pngs_show_what_a_browser_shows(data: bytes, seen: tuple[int, int, int]) -> None:
    assert near(open_image(data, name="x").pixels, (0, 0), seen)


@pytest.mark.parametrize(
    ("kind", "note"),
    [("GIF", "first of 3 frames"), ("WEBP", "first of 3 frames"), ("TIFF", "first of 3 pages")],
)
def test_an_animation_shows_its_first_frame_and_says_so(kind: str, note: str) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    picture = open_image(data, name="dance")
    assert picture.note == note
    assert near(picture.pixels, (3, 3), (255, 0, 0))


def test_a_phone_photo_with_a_depth_frame_is_one_picture() -> None:
    data = encoded(scene(), "MPO", save_all=True, append_images=[scene().convert("L").convert("RGB")])
    assert open_image(data, name="photo.jpg").note == ""


# --- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"just some words, saved as a picture", "found text"),
        ("keine Büchse".encode() * 200, "found text"),
        (b"%PDF-1.7 ...", "found a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "found an SVG drawing"),
        (b"<!DOCTYPE html><script>", "found a web page"),
        (b"PK\x03\x04....", "found a ZIP archive"),
        (b"\x00\x00\x00\x18ftypheic....", "found a HEIC photo"),
        (b"\x00\x00\x00\x18ftypisom....", "found a video"),
        (b"8BPS\x00\x01", "found a Photoshop document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "found text"),
        (b"SIMPLE  =                    T" + b" " * 2850, "found text"),
        (bytes(range(256)), "found data of another kind"),
        (b"\x89PNG\r\n\x1a\n", "is damaged"),
        (b"\xff\xd8\xff\xe0", "is damaged"),
        (b"RIFF\x00\x00\x01\x00WEBPVP8 ", "is damaged"),
        (encoded(scene(), "JPEG")[:600], "is damaged or cut off: expected a whole JPEG"),
        (encoded(Image.effect_noise((300, 300), 90), "JPEG")[:-4000], "is cut off"),
        (encoded(Image.effect_noise((300, 300), 90), "PNG")[:-4000], "is cut off"),
        (encoded(Image.effect_noise((300, 300), 90).convert("RGB"), "BMP")[:-4000], "is cut off"),
        (encoded(Image.effect_noise((300, 300), 90), "WEBP")[:-4000], "is damaged"),
        (png(60_000, 60_000, 8, 2, b"\0"), "60,000 × 60,000 pixels, more than the 50 million"),
        (png(20_000, 2, 8, 0, (b"\0" + b"\0" * 20_000) * 2), "20,000 × 2 pixels, too narrow"),
        (png(2, 20_000, 8, 0, b"\0\0\0" * 20_000), "2 × 20,000 pixels, too narrow"),
        (progressive(side=64, scans=5000), "scans"),
    ],
)
def test_a_bad_file_gets_one_sentence_at_once(data: bytes, words: str) -> None:
    sentence = refusal(data)
    assert sentence.startswith("“holiday.png” ")
    assert words in sentence


def test_a_file_over_the_size_limit_is_refused_unread(
    fresh_settings: Callable[..., None], tmp_path: Path
) -> None:
    fresh_settings(max_bytes=1000)
    assert "larger than the 0.001 MB" in refusal(b"x" * 1001)
    (tmp_path / "big.png").write_bytes(b"x" * 5000)
    assert "larger than" in refusal(tmp_path / "big.png")
    assert "larger than" in refusal(Path("/dev/zero"))


def test_the_pixel_limit_is_the_one_that_is_set(fresh_settings: Callable[..., None]) -> None:
    fresh_settings(max_pixels=2399)
    assert "60 × 40 pixels, more than the 0.0024 million" in refusal(encoded(scene(), "PNG"))
    fresh_settings(max_pixels=2400)
    assert open_image(encoded(scene(), "PNG")).size == (60, 40)


def test_a_strip_that_is_not_too_narrow_is_opened() -> None:
    assert open_image(png(200, 2, 8, 0, (b"\0" + b"\0" * 200) * 2)).size == (200, 2)
    assert open_image(png(1, 1, 8, 0, b"\0\0")).size == (1, 1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "“passwd”"),
        ("C:\\Users\\eve\\secret.png", "“secret.png”"),
        ("a\nb\x00c\u202egnp.exe", "“a b c gnp.exe”"),
        ("фото 📷 写真.png", "“фото 📷 写真.png”"),
        ("<script>alert(1)</script>", "“script>”"),
        ("\ud800.png", "“.png”"),
        ("", "The image"),
        ("\u200b\u202e", "The image"),
        ("x" * 300 + ".jpeg", "“" + "x" * 26 + "…xxxxxxxx.jpeg”"),
    ],
)
def test_a_hostile_name_is_shown_short_and_clean(name: str, shown: str) -> None:
    assert refusal(b"", name).startswith(f"{shown} is empty")


def test_a_path_that_cannot_be_read_is_named_without_its_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.png", "") == "“gone.png” does not exist: check the name and the folder."
    (tmp_path / "photos").mkdir()
    assert refusal(tmp_path / "photos", "").startswith("“photos” is a folder")
    assert "not the name of a file" in refusal(Path("a\0b.png"), "")
    assert refusal(tmp_path / ("x" * 3000), "").endswith(
        "cannot be read: copy it to another place and try again."
    )


def test_a_path_is_named_by_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("hello")
    assert refusal(tmp_path / "notes.png", "").startswith("“notes.png” is not an image")
    assert refusal(tmp_path / "notes.png", "mine.png").startswith("“mine.png” is not an image")


# --- the worker -------------------------------------------------------------------------


def test_a_slow_image_is_given_up_at_the_time_limit_and_the_next_one_opens(
    fresh_settings: Callable[..., None],
) -> None:
    open_image(encoded(scene(), "PNG"))  # the worker is warm
    fresh_settings(decode_seconds=0.3)
    sentence = refusal(progressive(side=6000, scans=85))
    assert "takes longer than 0.3 s to open" in sentence
    fresh_settings(decode_seconds=20)
    assert open_image(encoded(scene(), "PNG")).size == (60, 40)


@pytest.mark.skipif(sys.platform == "win32", reason="there the app's own clock ends it")
def test_a_slow_image_costs_no_more_than_its_processor_time(fresh_settings: Callable[..., None]) -> None:
    open_image(encoded(scene(), "PNG"))
    fresh_settings(image_seconds=0.5)
    with pytest.raises(BadInput, match=r"takes longer than 0\.5 s to open"):  # not by the clock on the wall
        open_image(progressive(side=6000, scans=85))
    assert open_image(encoded(scene(), "PNG")).size == (60, 40)


def decoded(pool: Pool, data: bytes, max_pixels: int = 10_000) -> Reply:
    return pool.run(Job("image", {"max_pixels": max_pixels}, data, seconds=30, most=3 * max_pixels))


def test_a_bomb_dies_in_the_worker_and_the_next_image_opens() -> None:
    pool = Pool(memory=300_000_000, workers=1)
    bomb = png(9000, 9000, 8, 6, b"\0" * (9000 * 36001))
    reply = decoded(pool, bomb, max_pixels=GIGABYTE)
    assert not reply.pixels
    assert reply.problem.startswith("needs more memory")
    assert decoded(pool, encoded(scene(), "PNG")).pixels
    pool.close()


def test_a_worker_that_was_killed_is_replaced() -> None:
    pool = Pool(memory=GIGABYTE, workers=1)
    data = encoded(scene(), "PNG")
    assert decoded(pool, data).pixels
    process = pool._workers[0]._process
    assert process is not None
    process.kill()
    process.wait()
    assert decoded(pool, data).pixels
    pool.close()


def test_a_worker_stays_warm() -> None:
    pool = Pool(memory=GIGABYTE, workers=2)
    data = encoded(scene(), "PNG")
    for _ in range(5):
        decoded(pool, data)
    assert sum(worker.pid is not None for worker in pool._workers) == 1
    pool.close()


def test_many_threads_each_get_their_own_image() -> None:
    files = [encoded(Image.new("RGB", (10 + i, 10), (i, 0, 0)), "PNG") for i in range(24)]
    found: dict[int, tuple[int, int]] = {}

    def work(i: int) -> None:
        found[i] = open_image(files[i]).size

    threads = [threading.Thread(target=work, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: (10 + i, 10) for i in range(24)}


def test_the_app_answers_while_a_slow_image_decodes(fresh_settings: Callable[..., None]) -> None:
    open_image(encoded(scene(), "PNG"))
    fresh_settings(decode_seconds=1)
    bomb = progressive(side=6000, scans=85)
    slow = threading.Thread(target=lambda: refusal(bomb))
    slow.start()
    waits = []
    while slow.is_alive():
        started = time.monotonic()
        time.sleep(0.01)
        waits.append(time.monotonic() - started)
    assert sorted(waits)[int(0.95 * len(waits))] < 0.2


def test_the_worker_imports_pillow_and_nothing_heavy() -> None:
    code = (
        "import sys, vlm_app.media.worker\n"
        "heavy = {'torch', 'gradio', 'numpy', 'pydantic', 'transformers', 'cv2', 'supervision'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=images.__file__.split("/vlm_app/")[0], capture_output=True
    )
    assert done.stdout.strip() == b"[]"


def test_two_files_with_the_same_pixels_are_the_same_picture() -> None:
    one = open_image(encoded(scene(), "PNG"), name="a.png")
    two = open_image(encoded(scene(), "BMP"), name="b.bmp")
    assert one == two and len(one.sha256) == 64
    assert one != open_image(encoded(scene().transpose(Image.Transpose.ROTATE_180), "PNG"))
