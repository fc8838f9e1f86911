"""What a run is said to take before it starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vlm_app.catalog import find
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import ModelUnavailable
from vlm_app.finetune.estimate import needs, steps
from vlm_app.finetune.run_config import RunConfig

LEARNED = 16  # bytes of a parameter that learns


def config(**settings: Any) -> RunConfig:
    return RunConfig.model_validate({"precision": "fp32"} | settings)


def test_steps_are_those_of_the_epochs_unless_they_are_given() -> None:
    assert steps(config(epochs=3, batch=4), 40) == 30
    assert steps(config(epochs=3, batch=4, accumulation=3), 41) == 11
    assert steps(config(epochs=1, batch=4, rehearsal=10), 10) == 5
    assert steps(config(epochs=1, batch=4, rehearsal=10, stage="preference"), 10) == 3
    assert steps(config(steps=7), 40) == 7


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # of PEFT
def test_what_learns_is_what_peft_makes_learn() -> None:
    from peft import get_peft_model

    from vlm_app.finetune.training.towers import lora

    loaded = load_checkpoint(find("pebble"), "fp32")
    for settings in (config(rank=8, dora=True), config(stage="projector")):
        wrapped = get_peft_model(loaded.model, lora(loaded, settings))
        learning = sum(each.numel() for each in wrapped.parameters() if each.requires_grad)
        found = needs(settings, 40)
        assert found.learned == LEARNED * learning and found.exact
        wrapped.unload()
        loaded.model.requires_grad_(False)
    assert needs(config(), 40).weights == pytest.approx(loaded.bytes, rel=0.01)


def test_memory_follows_the_settings() -> None:
    usual = needs(config(), 40)
    assert needs(config(batch=16), 40).activations == 4 * usual.activations
    assert needs(config(checkpointing=True), 40).activations < usual.activations
    assert needs(config(rank=32), 40).learned == 2 * usual.learned
    assert needs(config(precision="nf4"), 40).weights < usual.weights / 2
    assert needs(config(), 40, tokens=2 * usual.tokens).bytes > usual.bytes
    assert "30 steps in " in usual.sentence and "of weights" in usual.sentence


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # of PEFT
@pytest.mark.parametrize("towers", [{"language"}, {"vision", "language"}])
def test_activations_are_those_that_torch_keeps_for_the_gradients(towers: set[str]) -> None:
    """Never less than is measured, and at most twice that."""
    from tests.finetune.teaching import example
    from vlm_app.finetune.training.collating import together
    from vlm_app.finetune.training.course import adapted
    from vlm_app.finetune.training.lessons import lesson

    settings, loaded = config(batch=4, towers=frozenset(towers)), load_checkpoint(find("pebble"), "fp32")
    model = adapted(loaded, settings)
    asked = " ".join(["What is in the image?"] * 60)  # so that the language model takes most of it
    rows = [replace(example(number), query=asked) for number in range(4)]
    batch = together([lesson(loaded, each, None).encode() for each in rows], 0)
    measured = kept_for_gradients(model, batch)
    found = needs(settings, 40, tokens=batch["input_ids"].shape[1]).activations
    assert measured <= found <= 2 * measured, f"{found / measured:.2f} times what is measured"


def kept_for_gradients(model: Any, batch: dict[str, Any]) -> int:
    """Bytes that a forward pass keeps beside the weights."""
    import torch

    weights = {each.untyped_storage().data_ptr() for each in model.parameters()}
    kept: dict[int, Any] = {}

    def noted(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    model.train()
    with torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor):
        model(**batch)
    return sum(storage.nbytes() for storage in kept.values())


def test_a_base_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="nowhere"):
        needs(config(base="nowhere"), 40)
