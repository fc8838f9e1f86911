"""LoRA lies on the towers that were chosen and on nothing else, in every family."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from tests.families import checkpoints
from tests.finetune.teaching import QUIET
from tests.sizes import TRAINED_FAMILIES
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import ModelUnavailable
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.training.course import adapted
from vlm_app.finetune.training.towers import lora, pattern, tower

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]
FIRST = ("smolvlm", "qwen2_5_vl", "llava")  # what the small size takes
NAMES = sorted(checkpoints.names(), key=lambda name: (name not in FIRST, name))[:TRAINED_FAMILIES]
# What no LoRA is trained for, each with its reason.
NOT_TRAINED = {"idefics": "its class cannot be trained, says its file"}


@cache
def bare(name: str) -> Any:
    """A model of that checkpoint without weights."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(
            AutoConfig.from_pretrained(checkpoints.checkpoint(name))
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_tower_s_pattern_fits_its_linear_layers_alone(name: str) -> None:
    model, family = bare(name), checkpoints.family(name)
    if name in NOT_TRAINED:
        pytest.skip(NOT_TRAINED[name])
    modules = dict(model.named_modules())
    for title in family.lora_towers:
        path = tower(model, family, title)
        if not path:
            continue
        try:
            fits = pattern(model, family, frozenset({title}))
        except ModelUnavailable:  # such a connector is one norm, or convolutions alone
            assert title != "language"
            continue
        hit = [module for module in modules if re.fullmatch(fits, module)]
        assert hit and all(module == path or module.startswith(f"{path}.") for module in hit)
        assert all(isinstance(modules[module], nn.Linear) for module in hit)
        assert not any(modules[module] is model.get_output_embeddings() for module in hit)


def test_a_list_of_suffixes_would_have_hit_the_vision_tower() -> None:
    """Why the patterns are whole paths: in this family both towers have a `down_proj`."""
    model, family = bare("qwen2_5_vl"), checkpoints.family("qwen2_5_vl")
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert any("visual" in name and name.endswith(".down_proj") for name in names)
    fits = pattern(model, family, frozenset({"language"}))
    assert not any("visual" in name for name in names if re.fullmatch(fits, name))
    assert any(name.endswith(".down_proj") for name in names if re.fullmatch(fits, name))


@pytest.mark.parametrize("towers", [{"language"}, {"vision"}, {"connector"}, {"vision", "language"}])
def test_only_the_chosen_towers_learn(towers: set[str]) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    model = adapted(loaded, RunConfig(base="tiny", rank=4, towers=frozenset(towers)))
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    places = {"vision": ".vision_model.", "connector": ".connector.", "language": ".text_model."}
    found = {title for title, place in places.items() if any(place in name for name in learning)}
    assert found == towers and all("lora_" in name for name in learning)


def test_a_tower_that_a_family_lacks_is_refused_with_those_that_it_has() -> None:
    loaded = load_checkpoint(checkpoints.row("fuyu"), "fp32")
    with pytest.raises(ModelUnavailable, match=r"has no tower 'vision'.*connector, language"):
        lora(loaded, RunConfig(base="tiny", towers=frozenset({"vision"})))


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_the_projector_stage_teaches_the_connector_alone(precision: str) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), precision)
    model = adapted(loaded, RunConfig.read({"base": "tiny", "stage": "projector"}))
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert learning and all(".connector." in name for name in learning)
    assert any("modules_to_save" in name for name in learning) == (precision == "fp32")
    assert any("lora_" in name for name in learning) == (precision == "nf4")
