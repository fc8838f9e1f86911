"""The app's example pictures, drawn anew: `python -m vlm_app.pebble.examples FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from vlm_app.pebble.world import Scene, draw_scene

# Seeds picked by eye; neither training nor evaluation draws from them.
_SEEDS = {"shapes": 11806, "signs": 3002, "chart": 5014}


def scenes() -> dict[str, Scene]:
    """Each example by its kind, 640 × 480 pixels."""
    return {kind: draw_scene(seed, kind=kind, size=(640, 480)) for kind, seed in _SEEDS.items()}


if __name__ == "__main__":
    for kind, scene in scenes().items():
        scene.image.save(Path(sys.argv[1]) / f"{kind}.png", optimize=True)
