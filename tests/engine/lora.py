"""Real LoRA adapters with random weights that change answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from tests.engine.tiny import picture, row
from tests.families import checkpoints
from vlm_app.engine import LoadedModel, adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.loading import load_checkpoint
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Role, Task, Turn

TEXT = r".*(text_model|language_model).*\.(q_proj|v_proj|down_proj)"


def made(base: Path, id: str, seed: int = 1, **options: Any) -> Adapter:
    """An adapter of the data folder with random weights, as peft saves it."""
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.bfloat16)
    config = LoraConfig(**({"r": 4, "lora_alpha": 64, "target_modules": TEXT} | options))
    tuned = get_peft_model(model, config)
    for name, parameter in tuned.named_parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3 if "lora_B" in name else 0.1)
    tuned.save_pretrained(settings().data / "adapters" / id)
    return adapters.find(id)


def tokens(loaded: LoadedModel, model: Any = None) -> list[int]:
    """What the model says about a picture, greedily."""
    turns = (Turn(Role.USER, (picture(), "What is in the image?")),)
    inputs, _ = loaded.family.encode(loaded.processor, turns, task=Task.CHAT)
    model = model or loaded.model
    placed = {k: v.to(model.dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    with torch.inference_mode():
        out = model.generate(**placed, max_new_tokens=12, do_sample=False)
    return list(out[0, inputs["input_ids"].shape[1] :].tolist())


def state(loaded: LoadedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}


def same(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> bool:
    return before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.fixture(params=["pebble", "qwen2_5_vl"])
def base(request: pytest.FixtureRequest, folder: Path) -> Checkpoint:
    return row(folder) if request.param == "pebble" else checkpoints.row(request.param)


@pytest.fixture
def pebble(folder: Path) -> LoadedModel:
    return load_checkpoint(row(folder), "bf16")


def connector(base: Checkpoint) -> str:
    return {"pebble": "connector", "qwen2_5_vl": "merger"}[base.id]


def config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change
