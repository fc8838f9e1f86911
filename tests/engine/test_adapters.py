"""What somebody notices of LoRA adapters: real ones, made by peft with random weights that change answers."""

from __future__ import annotations

import gc
import statistics
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from tests.engine.lora import base, connector, made, pebble, same, state, tokens
from tests.engine.tiny import row
from tests.sizes import size
from vlm_app.engine import LoadedModel, adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.loading import load_checkpoint
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

__all__ = ["base", "pebble"]


# peft asks transformers for a name that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
PRECISIONS = ["bf16", "int8", "nf4"]


# --- answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_base_and_adapters_in_turn_answer_like_fresh_loads(base: Checkpoint, precision: str) -> None:
    folder = Path(base.source)
    one, two = made(folder, "one"), made(folder, "two", seed=2)

    def fresh(adapter: Adapter | None) -> list[int]:
        loaded = load_checkpoint(base, precision)
        adapters.use(loaded, adapter)
        return tokens(loaded)

    expected = {adapter: fresh(adapter) for adapter in (None, one, two)}
    assert len({tuple(answer) for answer in expected.values()}) == 3  # each says something else
    loaded = load_checkpoint(base, precision)
    for adapter in (None, one, None, two, one, None, two, None):
        adapters.use(loaded, adapter)
        assert loaded.adapter == (adapter.id if adapter else None)
        assert tokens(loaded) == expected[adapter]
    assert loaded.warm == ["one", "two"]


def test_an_adapter_answers_as_peft_itself_does(base: Checkpoint) -> None:
    adapter = made(Path(base.source), "signs", use_rslora=True, lora_dropout=0.5)
    loaded = load_checkpoint(base, "bf16")
    adapters.use(loaded, adapter)
    plain = AutoModelForImageTextToText.from_pretrained(base.source, dtype=torch.bfloat16)
    plain.generation_config.forced_eos_token_id = None
    theirs = PeftModel.from_pretrained(plain, adapter.folder, autocast_adapter_dtype=False).eval()
    assert tokens(loaded) == tokens(loaded, theirs)


@pytest.mark.parametrize("options", [{"use_dora": True}, {"modules_to_save": "connector"}])
def test_dora_and_a_trained_connector_switch_as_exactly(base: Checkpoint, options: dict[str, Any]) -> None:
    if "modules_to_save" in options:
        options = {"modules_to_save": [connector(base)]}
    adapter = made(Path(base.source), "special", **options)
    plain = made(Path(base.source), "plain", seed=2)
    loaded = load_checkpoint(base, "bf16")
    before, first = state(loaded), tokens(loaded)
    adapters.use(loaded, adapter)
    special = tokens(loaded)
    adapters.use(loaded, plain)
    other = tokens(loaded)
    assert len({tuple(first), tuple(special), tuple(other)}) == 3
    for step, answer in ((None, first), (adapter, special), (plain, other), (None, first)):
        adapters.use(loaded, step)
        assert tokens(loaded) == answer
    adapters.detach(loaded, "special")
    adapters.detach(loaded, "plain")
    assert same(before, state(loaded))


# --- memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_its_adapters_the_base_is_bit_for_bit_what_it_was(base: Checkpoint, precision: str) -> None:
    loaded = load_checkpoint(base, precision)
    before = state(loaded)
    modules = [(name, type(module)) for name, module in loaded.model.named_modules()]
    first = tokens(loaded)
    for id in ("one", "two"):
        adapters.use(loaded, made(Path(base.source), id))
        tokens(loaded)
    for id in ("one", "two"):
        adapters.detach(loaded, id)
    assert loaded.warm == [] and loaded.adapter is None
    assert [(name, type(module)) for name, module in loaded.model.named_modules()] == modules
    assert same(before, state(loaded))
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert tokens(loaded) == first


def test_the_adapter_used_longest_ago_makes_room_and_its_weights_are_gone(
    pebble: LoadedModel, folder: Path
) -> None:
    several = [made(folder, f"number-{number}") for number in range(adapters.WARM + 1)]
    adapters.use(pebble, several[0])
    oldest = [weakref.ref(p) for name, p in pebble.model.named_parameters() if ".lora_" in name]
    assert oldest
    for adapter in several[1:-1]:
        adapters.use(pebble, adapter)
    assert all(tensor() is not None for tensor in oldest)  # still warm
    adapters.use(pebble, several[-1])
    assert pebble.warm == [adapter.id for adapter in several[1:]]
    assert all(tensor() is None for tensor in oldest)
    adapters.use(pebble, several[1])
    assert pebble.warm[-1] == several[1].id


def test_attaching_and_detaching_again_and_again_leaves_nothing_behind(
    pebble: LoadedModel, folder: Path
) -> None:
    adapter = made(folder, "signs")
    living = []
    for _ in range(4):
        adapters.use(pebble, adapter)
        tokens(pebble)
        adapters.detach(pebble, "signs")
        gc.collect()
        living.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    assert living[1] == living[-1]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_with_adapters_is_unloaded_with_all_its_weights(base: Checkpoint, precision: str) -> None:
    loaded = load_checkpoint(base, precision)
    adapters.use(loaded, made(Path(base.source), "signs"))
    tokens(loaded)
    held = [weakref.ref(tensor) for tensor in (*loaded.model.parameters(), *loaded.model.buffers())]
    loaded.close()
    gc.collect()
    assert not [tensor for tensor in held if tensor() is not None]


def test_an_adapter_attaches_and_switches_within_a_fifth_of_a_second() -> None:
    real = settings().models / "pebble"
    loaded = load_checkpoint(row(real), "bf16")
    adapters.prepare()
    several = [made(real, f"number-{number}") for number in range(4)]
    seconds: list[float] = []
    for adapter in (*several, None, *several, None):
        begun = time.perf_counter()
        adapters.use(loaded, adapter)
        seconds.append(time.perf_counter() - begun)
    allowed = size(1000, 200) / 1000  # seconds; the small size allows for a busy machine
    assert statistics.median(seconds[:4]) < allowed and statistics.median(seconds[4:]) < allowed
