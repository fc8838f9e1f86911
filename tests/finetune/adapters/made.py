"""Adapters for tests: weights as PEFT saves them, with random numbers that change answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.finetune.runs import folder as run_folder
from vlm_app.finetune.run_folder import Data, RunFolder
from vlm_app.settings import ROOT

PEBBLE = ROOT / "models" / "pebble"
LANGUAGE = r".*(text_model|language_model).*\.(q_proj|v_proj|down_proj)"


def save(base: Path, folder: Path, *, strength: float = 0.1, **options: Any) -> None:
    """A LoRA adapter for the language model in a checkpoint's folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(1)
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    tuned = get_peft_model(
        model, LoraConfig(**({"r": 4, "lora_alpha": 8, "target_modules": LANGUAGE} | options))
    )
    for name, parameter in tuned.named_parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=strength if "lora_B" in name else 0.1)
    tuned.save_pretrained(folder, save_embedding_layers=False)


def done(path: Path, owner: str = "ada", model: Path = PEBBLE, **settings: Any) -> RunFolder:
    """The folder of a run that is done, with an adapter for its base."""
    made = run_folder(path, **settings)
    made.write_data(Data(owner=owner, name="Hearts", train=40, held_out=10, sha256="5" * 64))
    save(model, made.adapter)
    return made
