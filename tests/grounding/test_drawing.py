"""What a person sees on the image after an answer."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import vlm_app
from vlm_app.grounding import PALETTE, draw
from vlm_app.grounding.fonts import face
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape

GREY = (128, 128, 128)
Pixels = npt.NDArray[np.uint8]


def plain(width: int = 400, height: int = 300) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def drawn(*regions: Region, size: tuple[int, int] = (400, 300)) -> Pixels:
    return np.asarray(draw(plain(*size), regions))


def changed(pixels: Pixels) -> npt.NDArray[np.bool_]:
    return np.asarray((pixels != np.array(GREY, np.uint8)).any(axis=2))


def is_colour(pixels: Pixels, colour: str) -> npt.NDArray[np.bool_]:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
    return np.asarray((pixels == wanted).all(axis=2))


def disc(side: int = 32) -> bytes:
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    inside: Pixels = ((x**2 + y**2) < (side / 2) ** 2).astype(np.uint8)
    return inside.tobytes()


SHAPES: list[Shape] = [
    Box(0.25, 0.25, 0.75, 0.75),
    Point(0.5, 0.5),
    Polygon((Point(0.2, 0.2), Point(0.8, 0.3), Point(0.5, 0.8))),
    Mask(Box(0.25, 0.25, 0.75, 0.75), (32, 32), disc()),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_every_kind_is_drawn_in_its_colour_on_a_copy(shape: Shape) -> None:
    image = plain()
    result = draw(image, [Region("thing", shape)])
    assert result.size == image.size and result.mode == "RGB"
    assert not changed(np.asarray(image)).any()
    assert is_colour(np.asarray(result), PALETTE[0]).any()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "RGB"])
def test_an_image_of_any_mode_can_be_drawn_on(mode: str) -> None:
    assert draw(Image.new(mode, (50, 40)), [Region("thing", SHAPES[0])]).size == (50, 40)


def test_without_regions_the_copy_is_the_image() -> None:
    image = Image.effect_noise((60, 40), 90).convert("RGB")
    copy = draw(image, [])
    assert copy is not image and copy.tobytes() == image.tobytes()


def test_the_inside_of_a_box_stays_as_it_is() -> None:
    marks = changed(drawn(Region("thing", Box(0.25, 0.25, 0.75, 0.75))))
    assert not marks[75:225, 100:300].any()
    assert marks[74, 100:300].all() and marks[225, 100:300].all()
    assert marks[75:225, 99].all() and marks[75:225, 300].all()


def test_a_box_at_the_border_is_drawn_inside_the_image_with_all_four_sides() -> None:
    marks = is_colour(drawn(Region("", Box(0, 0, 1, 1))), PALETTE[0])
    across, down = marks[150], marks[:, 200]
    assert across[:200].sum() == across[200:].sum() == down[:150].sum() == down[150:].sum() >= 2


@pytest.mark.parametrize("ground", [*PALETTE, "#000000", "#FFFFFF", "#808080"])
def test_an_outline_shows_on_any_ground_even_its_own_colour(ground: str) -> None:
    image = Image.new("RGB", (200, 200), ground)
    for shape in SHAPES:
        row = np.asarray(draw(image, [Region("", shape)]).convert("L"), dtype=int)
        assert np.abs(row - row[0, 0]).max() >= 60


def test_lines_and_labels_grow_with_the_image() -> None:
    region = Region("thing", Box(0.3, 0.3, 0.7, 0.7))
    small, large = (drawn(region, size=size) for size in ((400, 400), (4000, 4000)))
    share_small, share_large = changed(small).mean(), changed(large).mean()
    assert share_large == pytest.approx(share_small, rel=0.35)


def test_a_mask_tints_what_it_covers_and_nothing_else() -> None:
    pixels = drawn(Region("", Mask(Box(0.25, 0, 0.75, 1), (2, 2), bytes([1, 0, 0, 0]))))
    assert changed(pixels)[75, 150] and not changed(pixels)[225, 250]
    tint = pixels[75, 150].astype(int)
    assert tint[2] > GREY[2] > tint[0]  # blue over grey, and grey still shows
    assert tint[2] < 178


def test_a_hole_in_a_mask_stays_open() -> None:
    bits = np.ones((20, 20), np.uint8)
    bits[5:15, 5:15] = 0
    marks = changed(drawn(Region("", Mask(Box(0, 0, 1, 1), (20, 20), bits.tobytes()))))
    assert not marks[150, 200] and marks[150, 50]


def test_a_point_is_a_ringed_dot_at_its_place() -> None:
    pixels = drawn(Region("", Point(0.5, 0.5)))
    rows, columns = np.nonzero(changed(pixels))
    assert rows.mean() == pytest.approx(149.5, abs=0.6) and columns.mean() == pytest.approx(199.5, abs=0.6)
    assert is_colour(pixels, PALETTE[0])[150, 200]
    assert is_colour(pixels, "#FFFFFF").any()


def test_the_same_label_has_one_colour_and_small_boxes_lie_on_top() -> None:
    large, small = Region("sea", Box(0.1, 0.1, 0.9, 0.9)), Region("boat", Box(0.1, 0.4, 0.3, 0.6))
    one, other = drawn(large, small), drawn(small, large)
    assert is_colour(one, PALETTE[0]).sum() > is_colour(one, PALETTE[1]).sum()
    assert is_colour(other, PALETTE[1]).sum() > is_colour(other, PALETTE[0]).sum()
    edge = slice(130, 170), slice(30, 45)
    assert is_colour(one, PALETTE[1])[edge].sum() == is_colour(other, PALETTE[0])[edge].sum()


@pytest.mark.parametrize(
    "label",
    [
        "Größe 5 µm",
        "красный круг",
        "κύκλος",
        "دائرة حمراء",
        "עיגול",
        "赤い円",
        "🙂 ✓ →",
        "line\nbreak\tand\x00control",
        "\u202eright to left",
        "\ud800",
        "<b>bold</b> & $x$ %s",
        "w" * 5000,
        " ",
    ],
)
def test_a_label_in_any_script_is_drawn_inside_the_image(label: str) -> None:
    pixels = drawn(Region(label, Box(0.4, 0.4, 0.6, 0.6)))
    beyond = changed(pixels)
    beyond[100:200, 150:250] = False
    assert beyond.any() == bool(label.strip(" \ud800"))
    assert beyond.mean() < 0.2


def test_words_beyond_latin_have_glyphs_of_their_own() -> None:
    for text in ("красный", "κύκλος", "עיגול", "→✓"):
        font = face(text, 20)
        blank = bytes(font.getmask("\U0010fffd"))
        assert all(bytes(font.getmask(char)) != blank for char in text)


def test_a_score_is_shown_beside_the_label() -> None:
    with_score = changed(drawn(Region("cat", Box(0.4, 0.4, 0.6, 0.6), score=0.87))).sum()
    assert with_score > changed(drawn(Region("cat", Box(0.4, 0.4, 0.6, 0.6)))).sum()


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (16, 16), (64, 48)])
def test_a_tiny_image_is_drawn_on_without_trouble(size: tuple[int, int]) -> None:
    for shape in SHAPES:
        assert draw(plain(*size), [Region("a thing with a name", shape)]).size == size


fractions = st.floats(0, 1)
boxes = st.builds(
    lambda a, b, c, d: Box(min(a, c), min(b, d), max(a, c), max(b, d)),
    fractions,
    fractions,
    fractions,
    fractions,
)
points = st.builds(Point, fractions, fractions)
any_shape = st.one_of(
    boxes,
    points,
    st.builds(Polygon, st.lists(points, min_size=3, max_size=6).map(tuple)),
    st.builds(
        lambda box, bits: Mask(box, (2, 2), bytes(bits)),
        boxes,
        st.lists(st.integers(0, 1), min_size=4, max_size=4),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(Region, st.text(max_size=20), any_shape), max_size=5),
    st.integers(1, 90),
    st.integers(1, 90),
)
def test_whatever_a_model_points_at_can_be_drawn(regions: list[Region], width: int, height: int) -> None:
    assert draw(plain(width, height), regions).size == (width, height)


def test_five_hundred_regions_on_a_large_photo_take_seconds() -> None:
    dice = random.Random(7)

    def shape() -> Shape:
        x, y, side = dice.uniform(0, 0.95), dice.uniform(0, 0.95), dice.uniform(0.01, 0.05)
        box = Box(x, y, x + side, y + side)
        kinds: list[Shape] = [box, Point(x, y), Mask(box, (32, 32), disc())]
        return dice.choice(kinds)

    regions = [Region(dice.choice(["cell", "nucleus", "debris"]), shape()) for _ in range(500)]
    image = plain(4000, 3000)
    draw(plain(8, 8), regions[:1])  # the import is not measured
    started = time.monotonic()
    draw(image, regions)
    assert time.monotonic() - started < 8


def test_importing_the_room_does_not_wait_for_the_drawing_library() -> None:
    code = (
        "import sys, vlm_app.grounding\n"
        "heavy = {'supervision', 'cv2', 'matplotlib', 'torch', 'gradio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(vlm_app.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
