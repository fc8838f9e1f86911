"""Pictures that look the same are known as such, and different ones are not."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageEnhance

from vlm_app.finetune.likeness import Likenesses, alike, likeness
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene


def of(image: Image.Image) -> int:
    return likeness(picture_from(image))


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [draw_scene(seed, kind="shapes", size=(192, 192)).image for seed in range(80)]


def saved_again(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(file, "JPEG", quality=50)
    return ImageEnhance.Brightness(Image.open(file)).enhance(0.97)


def test_a_smaller_and_darker_jpeg_is_the_same_picture_and_another_scene_is_not(
    scenes: list[Image.Image],
) -> None:
    hashes = [of(scene) for scene in scenes]
    again = [of(saved_again(scene)) for scene in scenes]
    assert sum(map(alike, hashes, again)) >= 0.95 * len(scenes)
    pairs = [alike(one, other) for place, one in enumerate(hashes) for other in hashes[:place]]
    assert sum(pairs) <= 1 and len(pairs) == 3160


def test_a_mirrored_picture_is_another_one(scenes: list[Image.Image]) -> None:
    mirrored = [scene.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for scene in scenes]
    assert not any(alike(of(one), of(other)) for one, other in zip(scenes, mirrored, strict=True))


@pytest.mark.parametrize("pair", [("red", "blue"), ("red", "green"), ("white", "black"), ("blue", "green")])
def test_plain_colours_are_told_apart(pair: tuple[str, str]) -> None:
    one, other = (of(Image.new("RGB", (50, 40), colour)) for colour in pair)
    assert not alike(one, other)
    assert alike(one, of(Image.new("RGB", (500, 100), pair[0])))


def test_a_hash_has_64_bits_and_only_small_pictures_need_no_care(scenes: list[Image.Image]) -> None:
    assert all(0 <= of(scene) < 1 << 64 for scene in scenes)
    assert 0 <= of(Image.new("RGB", (1, 1))) < 1 << 64


def test_the_first_picture_that_looks_the_same_is_named(scenes: list[Image.Image]) -> None:
    seen = Likenesses()
    assert [seen.add(of(scene)) for scene in scenes[:40]] == [None] * 40
    assert seen.add(of(saved_again(scenes[7]))) == 7
    assert seen.add(of(scenes[7])) == 7  # the first one, not the copy
    assert len(seen) == 42


def test_more_pictures_than_there_was_room_for_are_kept() -> None:
    seen = Likenesses()
    for number in range(1025):
        seen.add(number << 40 ^ number * 0x9E3779B97F4A7C15 & (1 << 40) - 1)
    assert len(seen) == 1025
    assert seen.add(0) == 0
