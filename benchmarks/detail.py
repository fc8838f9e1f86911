"""What detail mode finds that the plain question does not: `python -m benchmarks.detail [--json FILE]`.

Scenes of Pebble's world of 1,600 × 1,600 pixels with shapes of 20 pixels, from seeds that it was
never trained on, are asked about with DETECT, POINT, COUNT and GROUND: plainly, and in detail.
Prints F1 at IoU 0.5 (a point counts in the box of a thing, once; a count by being right), seconds
and tiles. `--sides` measures DETECT with other sizes of tiles as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from vlm_app.engine import engine
from vlm_app.grounding import match
from vlm_app.media import picture_from
from vlm_app.pebble.world import Scene, draw_scene
from vlm_app.types import Answer, Box, Delta, Picture, Point, Region, Request, Role, Task, Turn
from vlm_app.workbench import detail as detailed
from vlm_app.workbench.sheet import Question

SIDE, THING, MOST = 1600, 20, 24  # pixels of a scene, of a shape; shapes in a scene
STREAM = 6  # of seeds; training and the held-out scores draw from others
SIDES = (512, 400, 320, 256, 200, 160)


def scene(number: int) -> Scene:
    """The large scene of that number, with small shapes."""
    rng = np.random.default_rng([STREAM, number])
    share = THING / SIDE
    return draw_scene(rng, kind="shapes", size=(SIDE, SIDE), extents=(share, share * 1.001), most=MOST)


def ask(picture: Picture, task: Task, query: str) -> Iterator[Delta]:
    """As the workbench asks Pebble."""
    return engine().answer(Request((Turn(Role.USER, (picture,)),), "pebble", task, query))


def plain(picture: Picture, task: Task, query: str) -> Answer:
    return [delta.answer for delta in ask(picture, task, query) if delta.answer][-1]


def in_detail(picture: Picture, task: Task, query: str) -> Answer:
    steps = detailed.detail(ask, picture, Question(task, query, "pebble"))
    return list(steps)[-1].answer


class Score:
    """Of one way of asking, over several scenes."""

    def __init__(self) -> None:
        self.found = self.true = self.right = self.exact = self.scenes = 0
        self.seconds: list[float] = []
        self.looks: list[int] = []

    def add(self, answer: Answer, truth: list[Box], seconds: float) -> None:
        regions = answer.regions
        self.found, self.true = self.found + len(regions), self.true + len(truth)
        self.right += hits(regions, truth)
        self.exact += len(regions) == len(truth)
        self.scenes += 1
        self.seconds.append(seconds)
        self.looks.append(answer.seen.tiles)

    def row(self, name: str) -> dict[str, Any]:
        return {
            "asked": name,
            "F1": round(2 * self.right / max(self.found + self.true, 1), 3),
            "precision": round(self.right / max(self.found, 1), 3),
            "recall": round(self.right / max(self.true, 1), 3),
            "counts right": round(self.exact / self.scenes, 3),
            "seconds": round(statistics.median(self.seconds), 2),
            "looks": statistics.median(self.looks),
        }


def hits(regions: tuple[Region, ...], truth: list[Box]) -> int:
    """How many true boxes were found: by a box at IoU 0.5, or by a point inside."""
    points = [region.shape for region in regions if isinstance(region.shape, Point)]
    if not points:
        return len(match([region.shape for region in regions], truth))
    left = list(truth)
    for point in points:
        inside = [box for box in left if box.x0 <= point.x <= box.x1 and box.y0 <= point.y <= box.y1]
        left = [box for box in left if box not in inside[:1]]
    return len(truth) - len(left)


def questions(drawn: Scene) -> dict[Task, tuple[str, list[Box]]]:
    """What is asked about a scene, and the boxes of what is meant."""
    names = [thing.name for thing in drawn.things]
    often = max(sorted(set(names)), key=names.count)
    same = [Box(*thing.box) for thing in drawn.things if thing.name == often]
    asked = {
        Task.DETECT: ("", [Box(*thing.box) for thing in drawn.things]),
        Task.POINT: (often, same),
        Task.COUNT: (often, same),
    }
    alone = [thing for thing in drawn.things if names.count(thing.name) == 1]
    if alone:
        asked[Task.GROUND] = (f"the {alone[0].name}", [Box(*alone[0].box)])
    return asked


def measure(scenes: int, tasks: tuple[Task, ...], sides: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """One row for each task and way of asking."""
    plain(picture_from(scene(0).image), Task.DETECT, "")  # loads the model
    ways: dict[str, tuple[Task, Callable[[Picture, Task, str], Answer], int]] = {}
    for task in tasks:
        ways[f"{task} plain"] = (task, plain, 0)
        ways[f"{task} in detail"] = (task, in_detail, 0)
    for side in sides:
        ways[f"detect, tiles of {side}"] = (Task.DETECT, in_detail, side)
    scores = {name: Score() for name in ways}
    for number in range(scenes):
        drawn = scene(number)
        picture, asked = picture_from(drawn.image), questions(drawn)
        for name, (task, way, side) in ways.items():
            if task in asked:
                query, truth = asked[task]
                begun = time.monotonic()
                with forced(side):
                    answer = way(picture, task, query)
                scores[name].add(answer, truth, time.monotonic() - begun)
    return [score.row(name) for name, score in scores.items() if score.scenes]


def forced(side: int) -> Any:
    """Tiles of another size than the one that is chosen."""
    return patch.object(detailed, "tile_side", lambda *_: side) if side else patch.dict({})


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure detail mode on Pebble's world.")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--sides", action="store_true", help="other sizes of tiles as well")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    tasks = (Task.DETECT, Task.POINT, Task.COUNT, Task.GROUND)
    rows = measure(args.scenes, tasks, SIDES if args.sides else ())
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(str(value) for value in row.values()))
    if args.json:
        machine = {"machine": platform.machine(), "cores": os.cpu_count(), "scenes": args.scenes}
        args.json.write_text(json.dumps({**machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
