"""Draws the dataset that the tab Fine-tune offers to try: `python -m benchmarks.example_dataset FOLDER`.

40 scenes of Pebble's world with hearts, a shape that Pebble has never seen, as a zip in the app's own
format, and the picture of its card.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from benchmarks.taught import EXAMPLES, NEW, with_hearts
from vlm_app.finetune.examples import Example, Source, example_to_dict
from vlm_app.media import picture_from
from vlm_app.pebble.world import Scene
from vlm_app.types import Box, Region, Task

_STREAM = (11, 2026)  # neither the benchmark nor its held-out scenes draw from it
_CARD = 11  # the scene of the card
_SAME = (1980, 1, 1, 0, 0, 0)  # so that the zip is the same whenever it is made


def _example(scene: Scene) -> Example:
    """Its hearts, each named by its phrase of the answer."""
    words, regions = "", list[Region]()
    for thing in scene.things:
        if thing.shape == NEW:
            words += ", " if words else ""
            regions.append(
                Region(thing.name, Box(*thing.box), span=(len(words), len(words) + len(thing.name)))
            )
            words += thing.name
    return Example((picture_from(scene.image),), Task.DETECT, NEW, words, tuple(regions))


def main(folder: Path) -> None:
    scenes = with_hearts(_STREAM, EXAMPLES)
    with zipfile.ZipFile(folder / "hearts.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        lines = []
        for number, scene in enumerate(scenes, 1):
            name = f"images/{number:02}.png"
            file = io.BytesIO()
            scene.image.save(file, "PNG", optimize=True)
            archive.writestr(zipfile.ZipInfo(name, _SAME), file.getvalue())
            example = replace(_example(scene), source=Source.UPLOAD)
            lines.append(json.dumps(example_to_dict(example, [name]), separators=(",", ":")))
        archive.writestr(zipfile.ZipInfo("hearts.jsonl", _SAME), "\n".join(lines) + "\n")
    scenes[_CARD].image.save(folder / "hearts.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
