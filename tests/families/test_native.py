"""Every native family, end to end, on a tiny checkpoint with random weights: nothing raises.

Files are loaded, one image and several are encoded, an answer is generated and read, in
bf16, and in int8 and nf4 where bitsandbytes can.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.ready import Ready
from tests.families import checkpoints
from vlm_app import families
from vlm_app.engine import Engine, LocalBackend
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import BadInput
from vlm_app.types import Answer, Request, Role, Sampling, Task, Turn

# Families that run in process and cannot be built here, each with its reason.
UNBUILT: dict[str, str] = {"pebble": "the real one is in models/: tests/pebble and tests/engine run it"}
# What bitsandbytes cannot do, each with its reason.
UNQUANTIZED: dict[tuple[str, str], str] = {
    ("deepseek_ocr2", "int8"): "on a CPU its int8 takes three dimensions, and the encoder gives four",
    ("deepseek_vl_hybrid", "int8"): "on a CPU its int8 takes three dimensions, and SAM's encoder gives four",
    ("got_ocr2", "int8"): "on a CPU its int8 takes three dimensions, and the encoder gives four",
    ("lfm2_vl", "int8"): "on a CPU its int8 takes three dimensions, and the connector gives four",
    ("mllama", "int8"): "on a CPU its int8 takes three dimensions, and the connector gives four",
}
NATIVE = [name for name in families.names() if families.get(name).native]
BUILT = checkpoints.names()


def ask(name: str, pictures: int = 1, loaded: LoadedModel | None = None, **more: Any) -> Answer:
    row = checkpoints.row(name)
    engine = Engine({name: row}, Ready(loaded) if loaded else LocalBackend())
    images = [checkpoints.picture(size=size) for size in [(300, 200), (120, 260)][:pictures]]
    turns = (Turn(Role.USER, (*images, "What is in the image?")),)
    request = Request(turns, name, sampling=Sampling(max_tokens=5), **more)
    *_, last = engine.answer(request)
    assert last.answer is not None
    return last.answer


def test_every_native_family_is_built_in_each_class_or_says_why_not() -> None:
    assert set(NATIVE) == {*(checkpoints.family(name).name for name in BUILT), *UNBUILT}
    configs = [Path(checkpoints.checkpoint(name)) / "config.json" for name in BUILT]
    kinds = {json.loads(config.read_text())["model_type"] for config in configs}
    assert kinds >= {kind for name in NATIVE for kind in families.get(name).model_types}


@pytest.mark.parametrize("name", BUILT)
def test_a_checkpoint_answers_about_an_image(name: str) -> None:
    answer = ask(name, task=_task(name), query="a circle")
    assert answer.usage.completion_tokens >= 1
    assert answer.prompt
    assert answer.seen.visual_tokens > 0 and answer.seen.size


@pytest.mark.parametrize("name", BUILT)
def test_several_images_are_answered_or_refused_with_a_sentence(name: str) -> None:
    if checkpoints.family(name).max_images == 1:
        with pytest.raises(BadInput, match="at most 1 image"):
            ask(name, pictures=2, task=_task(name), query="a circle")
    else:
        assert ask(name, pictures=2, task=_task(name), query="a circle").usage.completion_tokens >= 1


@pytest.mark.parametrize("precision", ["int8", "nf4"])
@pytest.mark.parametrize("name", BUILT)
def test_a_quantized_checkpoint_answers(name: str, precision: str) -> None:
    row = checkpoints.row(name)
    if reason := UNQUANTIZED.get((name, precision)):
        with pytest.raises(Exception):  # noqa: B017 - when it works one day, the list is too long
            ask(name, loaded=load_checkpoint(row, precision), task=_task(name), query="a circle")
        pytest.xfail(reason)
    answer = ask(name, loaded=load_checkpoint(row, precision), task=_task(name), query="a circle")
    assert answer.precision == precision
    assert answer.usage.completion_tokens >= 1


@pytest.mark.parametrize("name", BUILT)
def test_a_tiny_checkpoint_is_small(name: str) -> None:
    folder = checkpoints.checkpoint(name)
    assert sum(path.stat().st_size for path in Path(folder).rglob("*")) < 8_000_000


def test_lora_towers_name_modules_of_the_models() -> None:
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    found: dict[str, set[str]] = {}
    for name in BUILT:
        with torch.device("meta"):
            config = AutoConfig.from_pretrained(checkpoints.checkpoint(name))
            modules = dict(AutoModelForImageTextToText.from_config(config).named_modules())
        family = checkpoints.family(name)
        towers = {tower for tower, module in family.lora_towers.items() if module in modules}
        assert "language" in towers or name == "idefics", name  # its class cannot be trained, says its file
        found[family.name] = found.get(family.name, set()) | towers
    for name, towers in found.items():  # each of them is a module of some checkpoint of the family
        assert towers == set(families.get(name).lora_towers), name


def _task(name: str) -> Task:
    tasks = checkpoints.family(name).tasks
    return Task.CHAT if Task.CHAT in tasks else next(task for task in Task if task in tasks)
