"""What Pebble learns: `python -m benchmarks.taught heart|captions [--seed N] [--rate R] ... [--json F]`.

heart: 40 examples of a shape that Pebble has never seen, with rehearsed scenes beside them; the F1 of
detecting it on 100 held-out scenes, and Pebble's old scores, before and after. captions: 60 pairs of a
true caption and one of Pebble's own that names what is not there; the share of what it names that is not
there (CHAIRi; Rohrbach et al. 2018, "Object Hallucination in Image Captioning") on held-out scenes.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune import Folder
from vlm_app.catalog import find
from vlm_app.engine import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.training import train
from vlm_app.media import picture_from
from vlm_app.pebble import evaluate, questions, shapes, world
from vlm_app.pebble.processor import END
from vlm_app.pebble.scores import Tally
from vlm_app.pebble.words import COLOURS
from vlm_app.pebble.world import Scene, draw_scene
from vlm_app.types import Box, Region, Task

NEW = "heart"
EXAMPLES, SCENES, PAIRS = 40, 100, 60
_BOXES = ("detect", "detect_all", "ground", "ocr_regions")  # skills whose figure is F1
_NAMED = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(shapes.SHAPES)})\b")


# --- a new shape ----------------------------------------------------------------------------------


@contextmanager
def new_shape() -> Iterator[None]:
    """Within it scenes draw hearts, more often than anything else."""
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 16 * np.sin(turn) ** 3
    y = -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn))
    points = np.stack([x, y], axis=1)
    points -= (points.max(axis=0) + points.min(axis=0)) / 2
    shapes._OUTLINES[NEW] = points / np.abs(points).max()
    before = world.SHAPES
    world.SHAPES = (*before, *[NEW] * 5)
    try:
        yield
    finally:
        world.SHAPES = before
        del shapes._OUTLINES[NEW]


def with_hearts(stream: Sequence[int], number: int) -> list[Scene]:
    """Scenes with at least one heart."""
    found = []
    with new_shape():
        for seed in range(number):
            rng = np.random.default_rng([*stream, seed])
            scene = draw_scene(rng, kind="shapes")
            while not any(thing.shape == NEW for thing in scene.things):
                scene = draw_scene(rng, kind="shapes")
            found.append(scene)
    return found


def hearts(seed: int) -> list[Example]:
    made = []
    for scene in with_hearts([5, seed], EXAMPLES):
        regions = tuple(Region(t.name, Box(*t.box)) for t in scene.things if t.shape == NEW)
        words = ", ".join(region.label for region in regions)
        made.append(Example((picture_from(scene.image),), Task.DETECT, NEW, words, regions))
    return made


def new_score(loaded: LoadedModel, scenes: int) -> float:
    """F1 of detecting hearts."""
    asked = []
    for scene in with_hearts([77], scenes):
        truth = questions.boxes([thing for thing in scene.things if thing.shape == NEW])
        asked.append(evaluate.Item("detect", scene.image, f"Detect {NEW}.", truth))
    return _tallies(loaded, asked)["detect"].f1


def old_scores(loaded: LoadedModel, scenes: int) -> dict[str, float]:
    """Pebble's own figures by skill; under '' the mean over all of them."""
    tallies = _tallies(loaded, sorted(evaluate.items(scenes), key=lambda item: item.skill))
    found = {name: each.f1 if name in _BOXES else each.accuracy for name, each in tallies.items()}
    return found | {"": float(np.mean(list(found.values())))}


def _tallies(loaded: LoadedModel, asked: Sequence[evaluate.Item], batch: int = 25) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for start in range(0, len(asked), batch):
        part = asked[start : start + batch]
        for item, answer in zip(part, answers(loaded, part), strict=True):
            tallies.setdefault(item.skill, Tally()).add(item.skill, answer, item.truth, item.slack)
    return tallies


def answers(loaded: LoadedModel, asked: Sequence[evaluate.Item], **sampling: Any) -> list[str]:
    """Raw answers, greedy where `sampling` does not say otherwise."""
    import torch

    processor = loaded.processor
    processor.tokenizer.padding_side = "left"
    prompts = [
        processor.apply_chat_template(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": item.question}]}],
            add_generation_prompt=True,
        )
        for item in asked
    ]
    inputs = processor(text=prompts, images=[[i.image] for i in asked], return_tensors="pt", padding=True)
    with torch.inference_mode():
        out = loaded.model.generate(**inputs, max_new_tokens=160, **({"do_sample": False} | sampling))
    texts = processor.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :])
    return [text.split(END)[0].strip() for text in texts]


# --- captions -----------------------------------------------------------------------------------


def captions(loaded: LoadedModel, scenes: Sequence[Scene], **sampling: Any) -> list[str]:
    asked = [evaluate.Item("caption", scene.image, "Describe the image.", "") for scene in scenes]
    found: list[str] = []
    for start in range(0, len(asked), 25):
        found += answers(loaded, asked[start : start + 25], **sampling)
    return found


def invented(caption: str, scene: Scene) -> tuple[int, int]:
    """How many things a caption names that are not there, and how many it names."""
    there = Counter(thing.name for thing in scene.things)
    named = Counter(" ".join(found) for found in _NAMED.findall(caption))
    return sum(count for name, count in named.items() if name not in there), named.total()


def chair(loaded: LoadedModel, scenes: int) -> float:
    """CHAIRi on held-out scenes."""
    drawn = [draw_scene(np.random.default_rng([78, seed]), kind="shapes") for seed in range(scenes)]
    counts = [invented(text, scene) for text, scene in zip(captions(loaded, drawn), drawn, strict=True)]
    return sum(wrong for wrong, _ in counts) / max(1, sum(named for _, named in counts))


def hallucinated(loaded: LoadedModel, seed: int) -> list[Example]:
    """Pairs of a true caption and one that Pebble drew by lot, which names what is not there."""
    import torch

    torch.manual_seed(seed)
    made: list[Example] = []
    start = 0
    while len(made) < PAIRS:
        drawn = [draw_scene(np.random.default_rng([7, seed, start + n]), kind="shapes") for n in range(25)]
        start += 25
        for scene, text in zip(drawn, captions(loaded, drawn, do_sample=True), strict=True):
            names = [questions.article(thing.name) for thing in scene.things]
            true = f"I see {', '.join(names[:-1]) + ' and ' + names[-1] if len(names) > 1 else names[0]}."
            if invented(text, scene)[0]:
                picture = (picture_from(scene.image),)
                made.append(Example(picture, Task.CAPTION, "", true, rejected=Reply(text)))
    return made[:PAIRS]


# --- runs -----------------------------------------------------------------------------------------


def taught(config: RunConfig, examples: Sequence[Example]) -> LoadedModel:
    """Pebble with an adapter that was trained now."""
    from peft import PeftModel

    with tempfile.TemporaryDirectory() as folder:
        made = Folder(Path(folder), config, examples)
        train(made, lambda event: None, lambda: False)
        loaded = load_checkpoint(find("pebble"), "fp32")
        PeftModel.from_pretrained(loaded.model, made.adapter)
    return loaded


HEART = RunConfig.read(
    {
        "precision": "fp32",
        "towers": ["vision", "connector", "language"],
        "rank": 16,
        "rate": 5e-4,
        "schedule": "linear",
        "warmup": 0.1,
        "batch": 8,
        "steps": 250,
        "rehearsal": 1000,
        "save_every": 10**6,
    }
)
CAPTIONS = RunConfig.read(
    {
        "precision": "fp32",
        "stage": "preference",
        "towers": ["vision", "connector", "language"],
        "rank": 16,
        "rate": 1e-4,
        "batch": 4,
        "epochs": 4,
        "beta": 0.1,
        "save_every": 10**6,
    }
)


def heart(config: RunConfig, scenes: int = SCENES, old: int = 60) -> dict[str, Any]:
    """The figures before and after, on `scenes` with hearts and `old` ones of Pebble's own world."""
    loaded = load_checkpoint(find("pebble"), "fp32")
    before = {"f1": new_score(loaded, scenes), "old": old_scores(loaded, old)}
    loaded = taught(config, hearts(config.seed))
    return {"before": before, "after": {"f1": new_score(loaded, scenes), "old": old_scores(loaded, old)}}


def truthful(config: RunConfig, scenes: int = SCENES) -> dict[str, Any]:
    """CHAIRi before and after."""
    loaded = load_checkpoint(find("pebble"), "fp32")
    before = chair(loaded, scenes)
    return {"before": before, "after": chair(taught(config, hallucinated(loaded, config.seed)), scenes)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("heart", "captions"))
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--set", default="{}", help="settings of the run as JSON, such as '{\"rate\": 1e-3}'")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    base = HEART if given.what == "heart" else CAPTIONS
    config = RunConfig.read(base.model_dump() | json.loads(given.set))
    began = time.monotonic()
    found = (heart if given.what == "heart" else truthful)(config, given.scenes)
    found["seconds"] = round(time.monotonic() - began)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
