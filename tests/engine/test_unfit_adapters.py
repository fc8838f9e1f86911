"""LoRA adapters of another base, damaged or unfit ones: a sentence, and the base goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.lora import base, config, made, pebble, same, state, tokens
from tests.engine.tiny import row
from tests.families import checkpoints
from tests.sizes import size
from vlm_app.engine import LoadedModel, adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import AppError, BadInput, ModelUnavailable, NotFound
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

__all__ = ["base", "pebble"]


# peft asks transformers for a name that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def is_a_sentence(error: AppError, *words: str) -> bool:
    text = error.sentence
    paths = str(settings().data) in text
    return text.endswith(".") and ". " not in text and not paths and all(word in text for word in words)


# --- the wrong base ---------------------------------------------------------------------


def written(id: str, card: dict[str, str] | None = None, **config: Any) -> Adapter:
    folder = settings().data / "adapters" / id
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    if card is not None:
        (folder / "card.json").write_text(json.dumps(card))
    return adapters.find(id)


def hub_row(**changes: Any) -> Checkpoint:
    facts = {"name": "Qwen VL", "source": "Qwen/Qwen2.5-VL-3B-Instruct", "revision": COMMIT}
    return replace(row(Path("unused")), **(facts | changes))


def test_an_adapter_of_another_base_is_refused_with_both_names(pebble: LoadedModel) -> None:
    adapter = written("signs", base_model_name_or_path="Qwen/Qwen2.5-VL-3B-Instruct")
    with pytest.raises(BadInput) as refusal:
        adapters.use(pebble, adapter)
    assert is_a_sentence(refusal.value, "signs", "Qwen/Qwen2.5-VL-3B-Instruct", "Pebble")
    assert pebble.warm == []


def test_an_adapter_of_another_revision_is_refused_with_both_names() -> None:
    other = "f" * 40
    adapter = written("signs", base_model_name_or_path="Qwen/Qwen2.5-VL-3B-Instruct", revision=other)
    with pytest.raises(BadInput) as refusal:
        adapters.check(adapter, hub_row())
    assert is_a_sentence(refusal.value, other[:12], COMMIT[:12], "Qwen VL", "Qwen/Qwen2.5-VL-3B-Instruct")
    adapters.check(adapter, hub_row(revision=""))  # not downloaded yet: nobody knows


@pytest.mark.parametrize(
    "config",
    [
        {"base_model_name_or_path": "qwen/qwen2.5-vl-3b-instruct"},
        {"base_model_name_or_path": "Qwen/Qwen2.5-VL-3B-Instruct", "revision": "main"},
        {"base_model_name_or_path": "Qwen/Qwen2.5-VL-3B-Instruct", "revision": COMMIT[:10]},
        {"base_model_name_or_path": "/elsewhere/Qwen2.5-VL-3B-Instruct"},
        {"base_model_name_or_path": f"/x/hub/models--Qwen--Qwen2.5-VL-3B-Instruct/snapshots/{COMMIT}"},
    ],
)
def test_a_base_is_known_by_any_of_its_names(config: dict[str, str]) -> None:
    adapters.check(written("signs", **config), hub_row())


def test_the_commit_of_a_cached_base_is_its_revision() -> None:
    cached = f"/x/hub/models--Qwen--Qwen2.5-VL-3B-Instruct/snapshots/{'f' * 40}"
    with pytest.raises(BadInput, match="ffffffffffff"):
        adapters.check(written("signs", base_model_name_or_path=cached), hub_row())


def test_a_folder_that_has_moved_is_known_by_its_name(folder: Path) -> None:
    adapters.check(written("signs", base_model_name_or_path="/old/place/pebble"), row(folder))
    with pytest.raises(BadInput, match=r"made for granite and cannot be used on Pebble \(pebble\)"):
        adapters.check(written("other", base_model_name_or_path="/old/place/granite"), row(folder))


def test_a_card_has_the_last_word() -> None:
    card = {"name": "Road signs", "base": "Qwen/Qwen2.5-VL-3B-Instruct", "revision": COMMIT}
    adapter = written("signs", card, base_model_name_or_path="someone/quantized", revision="f" * 40)
    adapters.check(adapter, hub_row())
    assert (adapter.name, adapter.base, adapter.revision) == ("Road signs", card["base"], COMMIT)


# --- damaged or unfit -------------------------------------------------------------------


def test_adapters_are_listed_by_name_and_a_damaged_one_is_left_out() -> None:
    written("b", {"name": "Signs"}, base_model_name_or_path="x/y")
    written("a", {"name": "trees"}, base_model_name_or_path="x/y")
    (settings().data / "adapters" / "c").mkdir()
    assert [adapter.name for adapter in adapters.installed()] == ["Signs", "trees"]


def test_a_damaged_one_is_told_of_once_however_often_the_page_looks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (settings().data / "adapters" / "told-once").mkdir(parents=True)
    for _ in range(3):
        assert adapters.installed() == ()
    assert caplog.text.count("The adapter told-once cannot be used") == 1


@pytest.mark.parametrize("id", ["nobody", "..", "../adapters/signs", "/etc", ""])
def test_an_unknown_id_is_not_found_and_is_no_path(id: str) -> None:
    written("signs", base_model_name_or_path="x/y")
    with pytest.raises(NotFound):
        adapters.find(id)


def cut(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:200]) and None


def without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def only_a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()


def weights(change: Callable[[str, torch.Tensor], tuple[str, torch.Tensor] | None]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        pairs = [change(name, tensor) for name, tensor in load_file(path).items()]
        save_file({name: tensor.contiguous() for name, tensor in filter(None, pairs)}, path)

    return rewrite


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "half a configuration": (cut("adapter_config.json"), "adapter_config.json"),
    "no configuration": (without("adapter_config.json"), "adapter_config.json"),
    "no base": (config(base_model_name_or_path=None), "base_model_name_or_path"),
    "half the weights": (cut("adapter_model.safetensors"), "adapter_model.safetensors"),
    "no weights": (without("adapter_model.safetensors"), "adapter_model.safetensors"),
    "weights that could run code": (only_a_pickle, "adapter_model.safetensors"),
    "another kind": (config(peft_type="IA3"), "LORA"),
    "weights cut out of the base": (config(init_lora_weights="pissa"), "pissa"),
    "the base's biases": (config(bias="all"), "bias"),
    "a rank of nothing": (config(r=0), "cannot be"),
    "another rank": (config(r=8), "other shapes"),
    "modules that the base lacks": (config(target_modules=["qkv_of_another"]), "qkv_of_another"),
    "weights of modules that the base lacks": (
        weights(lambda name, tensor: (name.replace("layers.1.", "layers.7."), tensor)),
        "layers.7.",
    ),
    "weights that are missing": (
        weights(lambda name, tensor: None if "layers.1." in name else (name, tensor)),
        "layers.1.",
    ),
    "weights of the base": (
        weights(lambda name, tensor: (name.replace("lora_A.weight", "weight"), tensor)),
        "replace the base's own",
    ),
    "a pattern that is none": (config(target_modules="(q_proj"), "pattern of modules"),
    "a pattern that fits nothing": (config(target_modules=r"(..|.)*!"), "does not have (none)"),
    "a pattern in the place of a name": (config(rank_pattern={r"([\w.]+)*!": 4}), "name of a module"),
    "a connector that the base lacks": (config(modules_to_save=["resampler"]), "resampler"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_one_sentence_and_the_base_answers_on(
    pebble: LoadedModel, folder: Path, damage: str
) -> None:
    good = made(folder, "good", seed=2)
    bad = made(folder, "bad")
    before, modules = state(pebble), [name for name, _ in pebble.model.named_modules()]
    adapters.use(pebble, good)
    answer = tokens(pebble)
    break_it, word = DAMAGES[damage]
    break_it(bad.folder)
    with pytest.raises(ModelUnavailable) as failure:
        adapters.use(pebble, adapters.find("bad"))
    assert is_a_sentence(failure.value, "bad", word), failure.value
    assert (pebble.warm, pebble.adapter) == (["good"], "good")
    assert tokens(pebble) == answer
    adapters.detach(pebble, "good")
    assert same(before, state(pebble))
    assert [name for name, _ in pebble.model.named_modules()] == modules


def test_a_pattern_that_python_would_read_for_ever_stops_nobody(pebble: LoadedModel, folder: Path) -> None:
    adapter = made(folder, "bad")
    for pattern in (r"([\w.]+)*!", r"(.|..|...)+(.|..)+(.|..)+(.|..)+(?<=(.|..)+)!(?=.*)"):
        config(target_modules=pattern)(adapter.folder)
        began = time.monotonic()
        with pytest.raises(ModelUnavailable) as failure:
            adapters.use(pebble, adapters.find("bad"))
        assert time.monotonic() - began < size(60, 5)
        assert is_a_sentence(failure.value, "bad"), failure.value


def test_a_trained_connector_is_refused_on_a_quantized_base(folder: Path) -> None:
    adapter = made(folder, "signs", modules_to_save=["connector"])
    loaded = load_checkpoint(row(folder), "nf4")
    with pytest.raises(ModelUnavailable) as failure:
        adapters.use(loaded, adapter)
    assert is_a_sentence(failure.value, "connector", "nf4", "not quantized")


def test_an_adapter_that_was_removed_while_warm_still_switches(pebble: LoadedModel, folder: Path) -> None:
    adapter = made(folder, "signs")
    adapters.use(pebble, adapter)
    answer = tokens(pebble)
    shutil.rmtree(adapter.folder)
    adapters.use(pebble, None)
    adapters.use(pebble, adapter)
    assert tokens(pebble) == answer


@pytest.mark.filterwarnings("ignore:The following .*_pattern keys did not match")  # peft's own
def test_experts_are_adapted_and_let_go_as_exactly() -> None:
    base = checkpoints.row("glm4v_moe")  # peft wraps its experts twice, one layer in the other
    adapter = made(Path(base.source), "experts", target_modules="all-linear")
    loaded = load_checkpoint(base, "bf16")
    before, first = state(loaded), tokens(loaded)
    adapters.use(loaded, adapter)
    assert tokens(loaded) != first
    adapters.detach(loaded, "experts")
    assert same(before, state(loaded)) and tokens(loaded) == first
