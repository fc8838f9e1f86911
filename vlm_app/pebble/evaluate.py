"""Pebble's scores on held-out scenes: `python -m vlm_app.pebble.evaluate [--card]`.

Scenes come from a stream of seeds that training never draws from. `--card` writes the
table into the model's card.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vlm_app.pebble import questions
from vlm_app.pebble.card import fill, processor
from vlm_app.pebble.foreign import foreign_scene
from vlm_app.pebble.markup import region
from vlm_app.pebble.processor import END
from vlm_app.pebble.scores import Tally
from vlm_app.pebble.world import Scene, draw_scene

if TYPE_CHECKING:
    from PIL.Image import Image

HELD_OUT_STREAM = 2
FOLDER = Path(__file__).resolve().parents[2] / "models" / "pebble"
_SKILLS = {
    "shapes": ("existence", "colour", "relation", "count", "detect", "detect_all", "ground", "point"),
    "signs": ("ocr", "ocr_regions"),
    "chart": ("chart_value",),
}
_MAKERS = {
    "colour": questions.attribute,
    "chart_value": questions.chart,
    "ocr": questions.read,
    "ocr_regions": questions.read_regions,
    "point": questions.point,
}
# (skill, figure, target). Without a target: the same answers again, right only as a whole.
TABLE: tuple[tuple[str, str, float | None], ...] = (
    ("existence", "accuracy", 0.97), ("colour", "accuracy", 0.97), ("relation", "accuracy", 0.97),
    ("count", "accuracy", 0.95), ("detect", "f1", 0.93), ("detect", "mean_iou", 0.80),
    ("detect_all", "f1", 0.93), ("ground", "f1", 0.93), ("point", "f1", 0.97), ("point", "accuracy", None),
    ("ocr", "f1", 0.90), ("ocr", "accuracy", None), ("ocr_regions", "f1", 0.90),
    ("chart_value", "accuracy", 0.85), ("foreign", "f1", 0.85),
)  # fmt: skip
_F1 = {"point": "F1 of points inside their things", "ocr": "F1 of exact words"}


@dataclass(frozen=True)
class Item:
    """One question about one held-out image, and the truth."""

    skill: str
    image: Image
    question: str
    truth: str
    slack: float = 0.0  # how far off a number may be


def items(scenes: int) -> Iterator[Item]:
    """The questions about the first `scenes` held-out scenes: seven of ten with shapes, two with signs."""
    for number in range(scenes):
        rng = np.random.default_rng([HELD_OUT_STREAM, number])
        kind = "chart" if number % 10 == 9 else "signs" if number % 10 >= 7 else "shapes"
        scene = draw_scene(rng, kind=kind)
        for skill in _SKILLS[kind]:
            item = _item(rng, scene, skill)
            if item is not None:
                yield item


def foreign_items(scenes: int) -> Iterator[Item]:
    """What to detect on so many scenes that matplotlib draws."""
    for number in range(scenes):
        rng = np.random.default_rng([HELD_OUT_STREAM, number])
        scene = foreign_scene(rng)
        question, truth = questions.detect(rng, scene).turns[0]
        yield Item("foreign", scene.image, question, truth)


def _item(rng: np.random.Generator, scene: Scene, skill: str) -> Item | None:
    """A question that exercises `skill`; None where the scene offers none in 20 tries."""
    make = _MAKERS.get(skill) or getattr(questions, skill)
    for _ in range(20):
        dialogue = make(rng, scene)
        if dialogue is None or dialogue.skill != skill:
            continue
        question, truth = dialogue.turns[0]
        if skill == "count" and int(truth.split()[-1].rstrip(".")) > 5:
            continue
        if skill == "point":
            truth = _boxes_of_points(scene, truth)
        slack = scene.chart.top / 10 if skill == "chart_value" and scene.chart else 0.0
        return Item(skill, scene.image, question, truth, slack)
    return None


def _boxes_of_points(scene: Scene, answer: str) -> str:
    """The boxes of the things that a pointing answer points at: what the points are checked against."""
    return "".join(region(t.name, t.box) for t in scene.things if region(t.name, t.centre) in answer)


class Examinee:
    """A saved Pebble that answers batches of questions greedily."""

    def __init__(self, folder: Path, **loading: Any) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self._torch = torch
        self.processor = AutoProcessor.from_pretrained(folder)
        self.processor.tokenizer.padding_side = "left"
        self.model = AutoModelForImageTextToText.from_pretrained(
            folder, **{"dtype": torch.bfloat16, **loading}
        ).eval()
        if torch.cuda.is_available() and "quantization_config" not in loading:
            self.model.to("cuda")

    def answer(self, batch: list[Item], most: int = 160) -> list[str]:
        """The answers, special tokens kept, the end token cut off."""
        prompts = [
            self.processor.apply_chat_template(
                [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": item.question}]}],
                add_generation_prompt=True,
            )
            for item in batch
        ]
        inputs = self.processor(
            text=prompts, images=[[item.image] for item in batch], return_tensors="pt", padding=True
        ).to(self.model.device, self._torch.bfloat16)
        with self._torch.inference_mode():
            out = self.model.generate(**inputs, max_new_tokens=most, do_sample=False)
        answers = self.processor.tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :])
        return [answer.split(END)[0].strip() for answer in answers]


def evaluate(examinee: Examinee, scenes: int, batch: int = 32) -> dict[str, Tally]:
    """Scores by skill. Questions are batched by skill, so that answers are about as long."""
    asked = sorted([*items(scenes), *foreign_items(scenes // 3)], key=lambda item: item.skill)
    tallies: dict[str, Tally] = {}
    for start in range(0, len(asked), batch):
        part = asked[start : start + batch]
        for item, answer in zip(part, examinee.answer(part), strict=True):
            tallies.setdefault(item.skill, Tally()).add(item.skill, answer, item.truth, item.slack)
    return tallies


def table(tallies: dict[str, Tally]) -> str:
    """The scores as a Markdown table, with the target that each is measured against."""
    lines = ["| skill | figure | asked | score | target |", "| --- | --- | ---: | ---: | ---: |"]
    for skill, figure, target in TABLE:
        if skill in tallies:
            tally = tallies[skill]
            score, aim = getattr(tally, figure), f"{target:.2f}" if target else "–"
            lines.append(f"| {skill} | {_named(skill, figure)} | {tally.asked} | {score:.3f} | {aim} |")
    return "\n".join(lines)


def _named(skill: str, figure: str) -> str:
    """A figure in words."""
    if figure == "accuracy":
        return "accuracy of whole answers" if skill in _F1 else "accuracy"
    return "mean IoU of matches" if figure == "mean_iou" else _F1.get(skill, "F1 at IoU 0.5")


def main() -> None:
    parser = argparse.ArgumentParser(description="Score Pebble on held-out scenes.")
    parser.add_argument("--model", type=Path, default=FOLDER, help="folder of the saved model")
    parser.add_argument("--scenes", type=int, default=1000, help="how many held-out scenes")
    parser.add_argument("--card", action="store_true", help="write the table into the model's card")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    args = parser.parse_args()
    begun = time.monotonic()
    tallies = evaluate(Examinee(args.model), args.scenes)
    seconds = time.monotonic() - begun
    if args.json:
        print(json.dumps({f"{s} {f}": getattr(tallies[s], f) for s, f, _ in TABLE if s in tallies}))
    else:
        print(table(tallies))
    if args.card:
        made = (
            f"{args.scenes} held-out scenes, bf16, in {seconds:.0f} s on {processor()}, "
            f"{datetime.date.today()}, by `python -m vlm_app.pebble.evaluate --card`."
        )
        fill(args.model / "README.md", "scores", f"{made}\n\n{table(tallies)}")


if __name__ == "__main__":
    main()
