"""A tiny checkpoint is taught four examples until it repeats them, and answers through the engine.

That its regions are then the taught ones proves encoding, labels, generation and parsing
against each other, with the real classes.
"""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image, ImageDraw

from tests.engine.ready import Ready
from tests.families import checkpoints
from tests.sizes import TAUGHT_FAMILIES
from vlm_app.engine.answers import Engine
from vlm_app.engine.checks import asked_turns
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.grounding import bounds, iou
from vlm_app.media import picture_from
from vlm_app.types import Answer, Box, Picture, Point, Region, Request, Role, Sampling, Task, Turn

GROUNDED = [name for name in checkpoints.names() if checkpoints.family(name).convention]
FIRST = ("qwen2_5_vl", "paligemma", "florence2")  # what the small size takes: JSON, tokens, encoder-decoder
TAUGHT = sorted(GROUNDED, key=lambda name: (name not in FIRST, name != checkpoints.family(name).name, name))[
    :TAUGHT_FAMILIES
]
# An encoder that reads 4,096 patches of any image: it looks once and is not trained.
FROZEN = {"deepseek_ocr2": "model.vision_tower.sam_encoder"}
STEPS = 250  # rounds over the examples, at most
# These lose the image when the steps are as long as the others'.
RATES = {"florence2": 1e-3, "kosmos2": 1e-3}
ASKED = {"glm4v": Task.GROUND}  # its list of labels and boxes takes minutes to learn
# A square, a wide and a tall image, and one more of which nothing but the colour differs.
EXAMPLES = [
    ("red", (112, 112), (0.1, 0.2, 0.6, 0.7)),
    ("blue", (168, 84), (0.5, 0.1, 0.9, 0.95)),
    ("green", (84, 168), (0.05, 0.55, 0.7, 0.85)),
    ("white", (112, 112), (0.3, 0.3, 0.95, 0.9)),
]


def drawn(colour: str, size: tuple[int, int], place: tuple[float, ...]) -> Picture:
    """A dark circle at that place, on that colour."""
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).ellipse(
        [share * size[index % 2] for index, share in enumerate(place)], fill="black"
    )
    return picture_from(image)


def requests(name: str) -> list[tuple[Request, Region]]:
    family = checkpoints.family(name)
    order = (Task.DETECT, Task.GROUND, Task.POINT, Task.OCR_REGIONS)
    task = ASKED.get(family.name) or next(task for task in order if task in family.tasks)
    made = []
    for colour, size, place in EXAMPLES:
        shape = Point(*place[:2]) if task is Task.POINT else Box(*place)
        turns = (Turn(Role.USER, (drawn(colour, size, place), "")),)
        request = Request(turns, name, task, "circle", sampling=Sampling(max_tokens=160))
        made.append((request, Region("circle", shape, text="circle" if task is Task.OCR_REGIONS else None)))
    return made


def examples(loaded: LoadedModel) -> list[dict[str, Any]]:
    """Model inputs with labels, made as training makes them."""
    family, made = loaded.family, []
    for request, region in requests(loaded.checkpoint.id):
        turns = asked_turns(request, family)
        seen = family.encode(loaded.processor, turns, task=request.task)[1]
        sizes = {"image_size": request.pictures[0].size, "input_size": seen.size}
        raw = family.write([region], asked=(request.task, "circle"), **sizes)
        made.append(family.encode(loaded.processor, turns, task=request.task, answer=raw)[0])
    return made


def teach(loaded: LoadedModel) -> None:
    import torch

    rows = examples(loaded)
    model = loaded.model.requires_grad_(True)
    if loaded.checkpoint.id in FROZEN:
        freeze(model.get_submodule(FROZEN[loaded.checkpoint.id]))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=RATES.get(loaded.checkpoint.id, 3e-3), weight_decay=0.0
    )
    for _ in range(STEPS):
        for row in rows:
            model(**row).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if all(repeats(model, row) for row in rows):
            break
    model.requires_grad_(False)
    for module in model.modules():
        vars(module).pop("forward", None)  # what was remembered


def freeze(encoder: Any) -> None:
    """Leave the encoder as it is, and let it look at each image once."""
    import torch

    forward, seen = encoder.forward, {}

    def remembered(pixels: Any, *args: Any, **options: Any) -> Any:
        key = pixels.numpy().tobytes()
        if key not in seen:
            with torch.no_grad():
                seen[key] = forward(pixels, *args, **options)
        return seen[key]

    encoder.requires_grad_(False)
    encoder.forward = remembered


def repeats(model: Any, row: dict[str, Any]) -> bool:
    """Whether each token of the answer is the likeliest one, and by far."""
    import torch

    with torch.inference_mode():
        out = model(**row)
    shift = 0 if model.config.is_encoder_decoder else 1
    labels = row["labels"][0, shift:]
    logits = out.logits[0, : len(labels)][labels != -100].float()
    labels = labels[labels != -100]
    likeliest = logits.softmax(-1).gather(1, labels[:, None])
    return bool((logits.argmax(-1) == labels).all()) and likeliest.min().item() > 0.6


def answer(loaded: LoadedModel, request: Request) -> Answer:
    engine = Engine({request.model: loaded.checkpoint}, Ready(loaded))
    *_, last = engine.answer(request)
    assert last.answer is not None
    return last.answer


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TAUGHT)
def test_taught_regions_come_back(name: str) -> None:
    loaded = load_checkpoint(checkpoints.row(name), "fp32")
    teach(loaded)
    for request, region in requests(name):
        given = answer(loaded, request)
        assert len(given.regions) == 1, given.raw
        (found,) = given.regions
        assert found.kind == region.kind
        if isinstance(region.shape, Point):
            assert isinstance(found.shape, Point)
            assert abs(found.shape.x - region.shape.x) < 0.05 and abs(found.shape.y - region.shape.y) < 0.05
        else:
            assert iou(bounds(found.shape), bounds(region.shape)) >= 0.9, given.raw
