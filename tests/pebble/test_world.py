"""The toy world's truth is what its pixels show."""

from __future__ import annotations

import numpy as np
import pytest

from vlm_app.pebble.examples import scenes
from vlm_app.pebble.shapes import SHAPES, outline
from vlm_app.pebble.words import COLOURS
from vlm_app.pebble.world import Scene, Thing, draw_scene
from vlm_app.pebble.world_check import looks_drawn
from vlm_app.settings import ROOT


def test_the_same_seed_draws_the_same_scene() -> None:
    one, two = draw_scene(5), draw_scene(5)
    assert np.array_equal(np.asarray(one.image), np.asarray(two.image))
    assert one.things == two.things and one.signs == two.signs


def test_the_world_has_its_shapes_colours_and_kinds() -> None:
    scenes = [draw_scene(np.random.default_rng([9, number])) for number in range(300)]
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.shape for thing in things} == set(SHAPES) and len(SHAPES) >= 8
    assert {thing.colour for thing in things} == set(COLOURS) and len(COLOURS) == 10
    assert {scene.kind for scene in scenes} == {"shapes", "signs", "chart", "page"}
    ratios = [scene.image.width / scene.image.height for scene in scenes]
    assert min(ratios) < 0.7 and max(ratios) > 1.5


@pytest.mark.parametrize("kind", ["shapes", "signs", "chart", "page"])
def test_boxes_lie_inside_the_image(kind: str) -> None:
    for seed in range(60):
        scene = draw_scene(seed, kind=kind)
        boxes = [thing.box for thing in scene.things] + [sign.box for sign in scene.signs]
        boxes += [bar.box for bar in scene.chart.bars] if scene.chart else []
        for x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


def test_a_lone_shape_is_where_its_box_says() -> None:
    """On a scene with one shape the pixels nearest its colour fill the box and nothing else."""
    checked = 0
    for seed in range(400):
        scene = draw_scene(seed, kind="shapes", most=1, size=(400, 300))
        if not scene.things or scene.things[0].shape not in ("circle", "square", "hexagon", "cross"):
            continue
        thing = scene.things[0]
        if _ground_spread(scene, thing) > 12:  # a textured ground: no clean cut
            continue
        found = _extent_of(scene, thing)
        assert np.abs(np.array(found) - thing.box).max() < 0.02, (seed, thing, found)
        checked += 1
    assert checked > 20


def _ground_spread(scene: Scene, thing: Thing) -> float:
    pixels = np.asarray(scene.image, dtype=float)
    return float(pixels[_outside(scene, thing)].std(axis=0).max())


def _outside(scene: Scene, thing: Thing) -> np.ndarray:
    width, height = scene.image.size
    x0, y0, x1, y1 = (v * s for v, s in zip(thing.box, (width, height, width, height), strict=True))
    rows, columns = np.mgrid[:height, :width]
    return (columns < x0 - 4) | (columns > x1 + 4) | (rows < y0 - 4) | (rows > y1 + 4)


def _extent_of(scene: Scene, thing: Thing) -> tuple[float, float, float, float]:
    pixels = np.asarray(scene.image, dtype=float)
    ground = np.median(pixels[_outside(scene, thing)], axis=0)
    rows, columns = np.nonzero(np.abs(pixels - ground).max(axis=-1) > 45)
    height, width = pixels.shape[:2]
    return (
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1) / width,
        (rows.max() + 1) / height,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_fit_the_unit_circle(shape: str) -> None:
    assert np.hypot(*outline(shape, 0.3).T).max() < 1.25


def test_scenes_can_be_large_with_small_shapes() -> None:
    scene = draw_scene(1, kind="shapes", size=(1600, 1600), extents=(0.0125, 0.0125), most=12)
    assert scene.image.size == (1600, 1600)
    assert all(thing.extent * 1600 == pytest.approx(20) for thing in scene.things)


def test_scenes_of_the_world_look_drawn() -> None:
    drawn = [looks_drawn(draw_scene(np.random.default_rng([4, number])).image) for number in range(200)]
    assert np.mean(drawn) > 0.97


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "page"])
def test_photographs_and_scans_do_not_look_drawn(name: str) -> None:
    from PIL import Image
    from skimage import data

    assert not looks_drawn(Image.fromarray(getattr(data, name)()))


def test_the_example_pictures_are_scenes_of_this_world() -> None:
    from PIL import Image

    for kind, scene in scenes().items():
        with Image.open(ROOT / "assets" / "examples" / f"{kind}.png") as kept:
            assert np.abs(np.asarray(kept, dtype=int) - np.asarray(scene.image)).max() <= 1
