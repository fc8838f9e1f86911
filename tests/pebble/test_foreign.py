"""Scenes that matplotlib draws: their truth is what their pixels show."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb

from vlm_app.pebble.foreign import MARKERS, SHADES, foreign_scene
from vlm_app.pebble.shapes import SHAPES
from vlm_app.pebble.words import COLOURS
from vlm_app.pebble.world import Scene, Thing


def scenes(number: int) -> list[Scene]:
    return [foreign_scene(np.random.default_rng([5, seed])) for seed in range(number)]


def shade(scene: Scene, thing: Thing) -> bool:
    """Whether a tenth of its box at least is in one of the shades of its colour."""
    x0, y0, x1, y1 = np.multiply(thing.box, [*scene.image.size] * 2).round().astype(int)
    pixels = np.asarray(scene.image)[y0:y1, x0:x1].reshape(-1, 3)
    near = [np.abs(pixels - np.multiply(to_rgb(name), 255)).max(axis=1) < 3 for name in SHADES[thing.colour]]
    return bool(np.any(near, axis=0).mean() > 0.1)


def test_things_are_of_kinds_that_pebble_knows_and_in_sight() -> None:
    drawn = [(scene, thing) for scene in scenes(60) for thing in scene.things]
    assert {thing.shape for _, thing in drawn} == {*MARKERS, "ring"} < set(SHAPES)
    assert {thing.colour for _, thing in drawn} == set(SHADES) == set(COLOURS)
    for scene, thing in drawn:
        assert 0 <= thing.box[0] < thing.box[2] <= 1 and 0 <= thing.box[1] < thing.box[3] <= 1
        assert shade(scene, thing), thing


def test_a_lone_thing_fills_its_box() -> None:
    alone = [scene for scene in scenes(300) if len(scene.things) == 1 and scene.image.width > 300]
    assert len(alone) > 10
    for scene in alone:
        pixels = np.asarray(scene.image, dtype=int)[: int(scene.image.height * 0.9)]  # a word may stand below
        if scene.things[0].box[3] > 0.9:
            continue
        rows, columns = np.nonzero(np.abs(pixels - pixels[0, 0]).max(axis=2) > 12)
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        box = np.multiply(scene.things[0].box, [*scene.image.size] * 2)
        assert np.abs(found - box).max() < 5, (found, box)  # a stroke goes beyond the outline


def test_the_same_seed_draws_the_same_pixels() -> None:
    one, two = (np.asarray(foreign_scene(np.random.default_rng(3)).image) for _ in range(2))
    assert np.array_equal(one, two)
