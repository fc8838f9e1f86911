"""What a user meets whose image is refused, and how the worker that decodes it is kept."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.media.image_files import encoded, fresh_settings, png, progressive, refusal, scene
from vlm_app.errors import BadInput
from vlm_app.media import images, open_image
from vlm_app.media.pool import Job, Pool, Reply

__all__ = ["fresh_settings"]


GIGABYTE = 1_000_000_000


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


def decoded(pool: Pool, data: bytes, max_pixels: int = 10_000) -> Reply:
    return pool.run(Job("image", {"max_pixels": max_pixels}, data, seconds=30, most=3 * max_pixels))


@pytest.mark.skipif(sys.platform == "win32", reason="there the app's own clock ends it")
def test_a_slow_image_costs_no_more_than_its_processor_time(fresh_settings: Callable[..., None]) -> None:
    open_image(encoded(scene(), "PNG"))
    fresh_settings(image_seconds=0.5)
    with pytest.raises(BadInput, match=r"takes longer than 0\.5 s to open"):  # not by the clock on the wall
        open_image(progressive(side=6000, scans=85))
    assert open_image(encoded(scene(), "PNG")).size == (60, 40)


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
