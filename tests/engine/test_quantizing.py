"""What somebody notices of a quantized model: it is smaller, it answers, and its numbers stay right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.ready import Ready
from tests.engine.tiny import picture, request, row
from vlm_app.engine import Engine, LoadedModel, loading
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import ROOT

PEBBLE = ROOT / "models" / "pebble"
IDS = torch.arange(20, 36)[None]


def answer(loaded: LoadedModel) -> str:
    *_, last = Engine({"pebble": loaded.checkpoint}, Ready(loaded)).answer(
        request(picture(), "What is it?", tokens=8)
    )
    assert last.answer is not None and last.answer.precision == loaded.precision
    return last.answer.raw


def quantized(model: Any) -> list[Any]:
    return [module for module in model.modules() if type(module).__name__ in ("Linear4bit", "Linear8bitLt")]


# --- smaller ------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "least", "most"), [("int8", 0.4, 0.7), ("nf4", 0.2, 0.5)])
def test_a_quantized_pebble_is_smaller_and_answers(precision: str, least: float, most: float) -> None:
    whole = load_checkpoint(row(PEBBLE), "bf16")
    small = load_checkpoint(row(PEBBLE), precision)
    assert least < small.bytes / whole.bytes < most
    assert small.precision == precision and quantized(small.model)
    assert answer(small)


def test_what_quantization_keeps_beside_the_weights_is_counted() -> None:
    small = load_checkpoint(row(PEBBLE), "nf4")
    alone = {p.data_ptr(): p.nbytes for p in (*small.model.parameters(), *small.model.buffers())}
    constants = sum(
        layer.weight.quant_state.absmax.nbytes + layer.weight.quant_state.state2.absmax.nbytes
        for layer in quantized(small.model)
    )
    assert sum(alone.values()) + constants <= small.bytes < 1.1 * sum(alone.values())


# --- right --------------------------------------------------------------------------------


def gradient(model: Any) -> torch.Tensor:
    """Of a sum of logits, with respect to what the language model reads."""
    read = model.get_input_embeddings()(IDS).detach().requires_grad_(True)
    logits = model(inputs_embeds=read, attention_mask=torch.ones_like(IDS)).logits
    (found,) = torch.autograd.grad((logits.float() * torch.linspace(-1, 1, logits.shape[-1])).sum(), read)
    return found.float()


def weights(model: Any) -> torch.Tensor:
    from bitsandbytes.functional import dequantize_4bit

    made = [dequantize_4bit(layer.weight.data, layer.weight.quant_state) for layer in quantized(model)]
    return torch.cat([matrix.float().flatten() for matrix in made])


def before_and_after_an_answer() -> tuple[float, float]:
    """Cosines of the gradients, and of the dequantized weights, before and after an answer in nf4."""
    loaded = load_checkpoint(row(PEBBLE), "nf4")
    slope, values = gradient(loaded.model), weights(loaded.model)
    with torch.no_grad():
        loaded.model(input_ids=IDS)
    return cosine(slope, gradient(loaded.model)), cosine(values, weights(loaded.model))


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.cosine_similarity(one.flatten(), other.flatten(), dim=0).item()


def test_gradients_and_weights_are_right_after_an_answer_in_nf4() -> None:
    slopes, values = before_and_after_an_answer()
    assert slopes >= 0.999 and values >= 0.999


@pytest.mark.filterwarnings("ignore:bitsandbytes")  # it says itself that it has no gradient
@pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(),
    reason="bitsandbytes repacks 4-bit weights on a CPU with avx512_bf16, and this one has none",
)
def test_without_the_guard_bitsandbytes_spoils_them_on_this_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # When this fails, bitsandbytes no longer does it, and the guard can go.
    monkeypatch.setattr(loading, "keep_weights_as_they_are", lambda model: None)
    slopes, values = before_and_after_an_answer()
    assert min(slopes, values) < 0.999


# --- files that are quantized already -----------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pebble, saved in nf4."""
    folder = tmp_path_factory.mktemp("packed") / "pebble"
    shutil.copytree(PEBBLE, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    load_checkpoint(row(PEBBLE), "nf4").model.save_pretrained(folder)
    return folder


def claimed(packed: Path, folder: Path, **settings: Any) -> Path:
    """A copy whose config.json says that it is quantized in some other way."""
    shutil.copytree(packed, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    return folder


def test_files_that_are_quantized_already_are_loaded_as_they_are(packed: Path) -> None:
    again = load_checkpoint(row(packed), "bf16")
    assert again.precision == "own (bitsandbytes)"
    assert again.bytes < 0.5 * load_checkpoint(row(PEBBLE), "bf16").bytes
    assert not any(layer.support_avx512bf16_for_cpu for layer in quantized(again.model))
    assert answer(again)


@pytest.mark.parametrize(
    ("method", "packages"),
    [("gptq", "optimum gptqmodel"), ("awq", "gptqmodel"), ("compressed-tensors", "compressed-tensors")],
)
def test_a_quantization_without_its_package_names_it(
    method: str, packages: str, packed: Path, tmp_path: Path
) -> None:
    folder = claimed(packed, tmp_path / "copy", quant_method=method, bits=4)
    with pytest.raises(ModelUnavailable) as failure:
        load_checkpoint(row(folder))
    assert str(failure.value) == (
        f"Pebble is quantized with {method}, for which the package {packages.replace(' ', ' and ')} is "
        f"missing: install it (pip install {packages}), or choose its unquantized original."
    )


def test_a_quantization_that_nobody_knows_is_named(packed: Path, tmp_path: Path) -> None:
    folder = claimed(packed, tmp_path / "copy", quant_method="abacus")
    with pytest.raises(ModelUnavailable, match="quantized with 'abacus', which transformers does not know"):
        load_checkpoint(row(folder))
