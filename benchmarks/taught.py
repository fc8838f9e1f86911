"""What Pebble learns: `python -m benchmarks.taught heart|captions|words [--set JSON] [--json FILE]`.

heart: 40 examples of a shape that Pebble has never seen, with rehearsed scenes beside them; the F1 of
detecting it on 100 held-out scenes, and Pebble's old scores, before and after. captions: 60 pairs of
one of Pebble's own captions that names what is not there and what of it is there; the share of
what captions name that is not there (CHAIRi; Rohrbach et al. 2018, "Object Hallucination in Image
Captioning") on held-out scenes with smeared signs, whose words Pebble invents. words: three answers
corrected with words that it never wrote, taught with the settings that the app proposes; the share of
such answers on them and on other circles, and Pebble's old scores.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.finetune import Folder
from vlm_app.catalog import find
from vlm_app.engine import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.presets import Preset, preset
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
SMEAR = 0.45  # of a line's height, over which its letters run into each other
_FULL = 7, 3  # things on a picture of an example, and hearts among them, at least: each shows more
_BOXES = ("detect", "detect_all", "ground", "ocr_regions")  # skills whose figure is F1
_NAMED = re.compile(rf'\b(?:{"|".join(COLOURS)}) (?:{"|".join(shapes.SHAPES)})\b|"[^"]*"')


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


def with_hearts(stream: Sequence[int], number: int, least: tuple[int, int] = (1, 1)) -> list[Scene]:
    """Scenes with at least so many things, and so many hearts among them."""

    def full(scene: Scene) -> bool:
        named = [thing.shape for thing in scene.things]
        return len(named) >= least[0] and named.count(NEW) >= least[1]

    found = []
    with new_shape():
        for seed in range(number):
            rng = np.random.default_rng([*stream, seed])
            scene = draw_scene(rng, kind="shapes")
            while not full(scene):
                scene = draw_scene(rng, kind="shapes")
            found.append(scene)
    return found


def hearts(seed: int) -> list[Example]:
    """Pictures full of shapes, on each every heart."""
    made = []
    for scene in with_hearts([5, seed], EXAMPLES, _FULL):
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
    """Pebble's own figures by skill; under '' their mean, each weighing as many questions as it was asked."""
    tallies = _tallies(loaded, sorted(evaluate.items(scenes), key=lambda item: item.skill))
    found = {name: each.f1 if name in _BOXES else each.accuracy for name, each in tallies.items()}
    asked = [each.asked for each in tallies.values()]
    return found | {"": float(np.average(list(found.values()), weights=asked))}


def _tallies(loaded: LoadedModel, asked: Sequence[evaluate.Item], batch: int = 25) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for start in range(0, len(asked), batch):
        part = asked[start : start + batch]
        for item, answer in zip(part, answers(loaded, part), strict=True):
            tallies.setdefault(item.skill, Tally()).add(item.skill, answer, item.truth, item.slack)
    return tallies


def answers(loaded: LoadedModel, asked: Sequence[evaluate.Item]) -> list[str]:
    """Raw greedy answers."""
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
    inputs["pixel_values"] = inputs["pixel_values"].to(loaded.model.dtype)
    with torch.inference_mode():
        out = loaded.model.generate(**inputs, max_new_tokens=160, do_sample=False)
    texts = processor.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :])
    return [text.split(END)[0].strip() for text in texts]


# --- captions -----------------------------------------------------------------------------------


def signed(stream: Sequence[int], number: int) -> list[Scene]:
    """Scenes with up to three shapes and signs that nobody can read: Pebble sees both, and invents words."""
    drawn = [draw_scene(np.random.default_rng([*stream, scene]), kind="signs") for scene in range(number)]
    return [replace(scene, image=_smeared(scene)) for scene in drawn]


def _smeared(scene: Scene) -> Image.Image:
    image = scene.image.copy()
    for sign in scene.signs:
        x0, y0, x1, y1 = (round(v * side) for v, side in zip(sign.box, image.size * 2, strict=True))
        line = image.crop((x0, y0, x1, y1))
        image.paste(line.filter(ImageFilter.GaussianBlur(SMEAR * (y1 - y0))), (x0, y0))
    return image


def there(scene: Scene) -> Counter[str]:
    """What a caption of a scene may name."""
    words = [f'"{sign.text}"' for sign in scene.signs]
    return Counter([thing.name for thing in scene.things] + words)


def named(caption: str) -> Counter[str]:
    """What a caption names, and how often."""
    return Counter(_NAMED.findall(caption))


def captions(loaded: LoadedModel, scenes: Sequence[Scene]) -> list[str]:
    asked = [evaluate.Item("caption", scene.image, "Describe the image.", "") for scene in scenes]
    parts = [asked[start : start + 25] for start in range(0, len(asked), 25)]
    return [text for part in parts for text in answers(loaded, part)]


def chair(loaded: LoadedModel, scenes: int) -> dict[str, float]:
    """On held-out scenes: CHAIRi, and the share of the shapes that captions name."""
    drawn = signed([78], scenes)
    wrong = total = found = shapes = 0
    for text, scene in zip(captions(loaded, drawn), drawn, strict=True):
        true, said = there(scene), named(text)
        wrong += sum(count for name, count in said.items() if name not in true)
        total += said.total()
        things = Counter(thing.name for thing in scene.things)
        found += (things & said).total()
        shapes += things.total()
    return {"chair": wrong / max(1, total), "found": found / max(1, shapes)}


def hallucinated(loaded: LoadedModel, seed: int) -> list[Example]:
    """Pairs of one of Pebble's own captions that names what is not there, and what of it is there.

    Of every second caption only the invented part is the wrong answer, or shorter would be better.
    """
    made: list[Example] = []
    part = 0
    while len(made) < PAIRS:
        drawn = signed([7, seed, part], 25)
        part += 1
        for scene, text in zip(drawn, captions(loaded, drawn), strict=True):
            true = there(scene)
            right = listed(text, [name for name in named(text) if name in true])
            wrong = listed(text, [name for name in named(text) if name not in true])
            if right and wrong:
                picture = (picture_from(scene.image),)
                rejected = Reply(text if len(made) % 2 else wrong)
                made.append(Example(picture, Task.CAPTION, "", right, rejected=rejected))
    return made[:PAIRS]


def listed(caption: str, names: Sequence[str]) -> str:
    """A caption that is left with these of its names; '' where none of them is in it."""
    kept = [_phrase(name) for name in _NAMED.findall(caption) if name in names]
    if len(kept) > 1:
        kept[-2:] = [f"{kept[-2]} and {kept[-1]}"]
    return f"I see {', '.join(kept)}." if kept else ""


def _phrase(name: str) -> str:
    if name.startswith('"'):
        return f"the words {name}" if " " in name else f"the word {name}"
    return questions.article(name)


# --- words ---------------------------------------------------------------------------------------


def circle(colour: str, x: int, y: int, side: int = 90) -> Image.Image:
    """A circle on white, with its corner there, in pixels of 256."""
    image = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(image).ellipse((x, y, x + side, y + side), fill=colour)
    return image


CORRECTED = tuple(
    (colour, circle(colour, at, at)) for colour, at in (("red", 20), ("blue", 70), ("green", 120))
)
OTHERS = tuple(
    (colour, circle(colour, x, y, side))
    for colour in ("red", "blue", "green", "yellow", "purple", "orange")
    for x, y, side in ((30, 120, 80), (130, 40, 100))
)


def corrected() -> list[Example]:
    """Three answers of Pebble as somebody corrected them."""
    return [
        Example((picture_from(image),), Task.CHAT, "What do you see?", _ball(colour))
        for colour, image in CORRECTED
    ]


def _ball(colour: str) -> str:
    return f"A {colour} ball lies there."


def said(loaded: LoadedModel, circles: Sequence[tuple[str, Image.Image]]) -> float:
    """The share of circles of which it says what was taught."""
    asked = [evaluate.Item("chat", image, "What do you see?", _ball(colour)) for colour, image in circles]
    return float(np.mean([a == item.truth for a, item in zip(answers(loaded, asked), asked, strict=True)]))


# --- runs -----------------------------------------------------------------------------------------


def taught(config: RunConfig, examples: Sequence[Example]) -> LoadedModel:
    """Pebble with an adapter that was trained now."""
    from peft import PeftModel

    with tempfile.TemporaryDirectory() as folder:
        made = Folder(Path(folder), config, examples)
        train(made, lambda event: None, lambda: False)
        loaded = load_checkpoint(find("pebble"), config.precision)
        PeftModel.from_pretrained(loaded.model, made.adapter)
    return loaded


HEART = RunConfig.read(
    {
        "precision": "bf16",
        "towers": ["vision", "connector", "language"],
        "rank": 16,
        "rate": 8e-4,
        "warmup": 0.1,
        "batch": 4,
        "epochs": 7,
        "rehearsal": 1500,
        "save_every": 10**6,
    }
)
CAPTIONS = RunConfig.read(
    {
        "precision": "bf16",
        "stage": "preference",
        "towers": ["vision", "connector", "language"],
        "rank": 16,
        "rate": 2.5e-4,
        "batch": 4,
        "epochs": 4,
        "beta": 0.1,
        "save_every": 10**6,
    }
)
WORDS = preset(Preset.FEW, "pebble", len(CORRECTED)).model_copy(update={"save_every": 10**6})


def heart(config: RunConfig, scenes: int = SCENES, old: int = SCENES) -> dict[str, Any]:
    """The figures before and after, on `scenes` with hearts and `old` ones of Pebble's own world."""
    loaded = load_checkpoint(find("pebble"), config.precision)
    before = {"f1": new_score(loaded, scenes), "old": old_scores(loaded, old)}
    loaded = taught(config, hearts(config.seed))
    return {"before": before, "after": {"f1": new_score(loaded, scenes), "old": old_scores(loaded, old)}}


def truthful(config: RunConfig, scenes: int = SCENES) -> dict[str, Any]:
    """CHAIRi, and the share of the shapes that are named, before and after."""
    loaded = load_checkpoint(find("pebble"), config.precision)
    before = chair(loaded, scenes)
    return {"before": before, "after": chair(taught(config, hallucinated(loaded, config.seed)), scenes)}


def words(config: RunConfig, old: int = SCENES) -> dict[str, Any]:
    """The shares before and after, and the old scores on that many scenes."""

    def looked(loaded: LoadedModel) -> dict[str, Any]:
        shares = {"corrected": said(loaded, CORRECTED), "others": said(loaded, OTHERS)}
        return shares | {"old": old_scores(loaded, old)}

    before = looked(load_checkpoint(find("pebble"), config.precision))
    return {"before": before, "after": looked(taught(config, corrected()))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=tuple(_SUBJECTS))
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--set", default="{}", help="settings of the run as JSON, such as '{\"rate\": 1e-3}'")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    base, look = _SUBJECTS[given.what]
    config = RunConfig.read(base.model_dump() | json.loads(given.set))
    began = time.monotonic()
    found = look(config, given.scenes)
    found["seconds"] = round(time.monotonic() - began)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


_SUBJECTS = {"heart": (HEART, heart), "captions": (CAPTIONS, truthful), "words": (WORDS, words)}


if __name__ == "__main__":
    main()
