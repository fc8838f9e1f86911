"""What is said of a model's memory before it is loaded, against what it takes then."""

from __future__ import annotations

import json
import shutil
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.live_bytes import LiveBytes
from tests.engine.scaled import scaled
from tests.families import checkpoints
from tests.hub.conftest import hub
from tests.hub.fake_hub import FakeHub, Repo
from tests.sizes import ESTIMATED_FAMILIES, size
from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.engine import memory
from vlm_app.engine import shapes as shapes_module
from vlm_app.engine.backend import Watch
from vlm_app.engine.loading import load_checkpoint
from vlm_app.engine.memory import Estimate, Fit, estimate, fit, remedy
from vlm_app.engine.working import TOKENS
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Role, Task, Turn

__all__ = ["hub"]
WEIGHTS, PEAK = 0.05, 0.15
NEW_TOKENS = 8
# Of every kind: cross-attention, encoder-decoder, tiles, sliding windows, tied weights, any resolution ...
FAMILIES = (
    "qwen3_vl florence2 smolvlm gemma3 mllama internvl llava_next paligemma kosmos2 blip2 "
    "deepseek_vl got_ocr2 llava pixtral ovis2 glm4v paddleocr_vl idefics qwen2_5_vl llava_onevision"
).split()[:ESTIMATED_FAMILIES]
INT8_FAILS = {"got_ocr2", "mllama"}  # on a CPU: see tests/families/test_native.py
PAIRS = [
    (family, precision)
    for family in FAMILIES
    for precision in ("bf16", "int8", "nf4")
    if precision != "int8" or family not in INT8_FAILS
]


@pytest.mark.parametrize(
    "family", FAMILIES if len(FAMILIES) < 20 else sorted({*checkpoints.names()} & {*families.names()})
)
@pytest.mark.parametrize("precision", ["bf16", "fp32", "int8", "nf4"])
def test_weights_are_known_before_they_are_loaded(family: str, precision: str) -> None:
    row = checkpoints.row(family)
    found = estimate(row, precision)
    assert found is not None and found.exact
    assert found.weights == pytest.approx(load_checkpoint(row, precision).bytes, rel=WEIGHTS)


@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
@pytest.mark.parametrize(("family", "precision"), PAIRS)
def test_the_peak_of_an_answer_about_an_image_is_known_before(family: str, precision: str) -> None:
    row = scaled(family)
    loaded = load_checkpoint(row, precision)
    inputs = _inputs(loaded)
    given = sum(value.nbytes for value in inputs.values() if isinstance(value, torch.Tensor))
    inputs = {name: _cast(value, loaded.model.dtype) for name, value in inputs.items()}
    with torch.inference_mode(), LiveBytes() as live:
        loaded.model.generate(**inputs, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False)
    found = estimate(row, precision, tokens=inputs["input_ids"].shape[1] + NEW_TOKENS)
    assert found is not None
    assert found.weights == pytest.approx(loaded.bytes, rel=WEIGHTS)
    assert found.total - found.reserve == pytest.approx(loaded.bytes + given + live.peak, rel=PEAK)


def _inputs(loaded: Any) -> dict[str, Any]:
    """A photograph and 300 words, or the family's own words where it does not chat."""
    family = loaded.family
    task = Task.CHAT if Task.CHAT in family.tasks else next(task for task in Task if task in family.tasks)
    text = "red circle " * 150 if task is Task.CHAT else family.ask(task, "a circle")
    parts = (checkpoints.picture(size=(2048, 1536)), text)
    inputs, _ = family.encode(loaded.processor, (Turn(Role.USER, parts),), task=task)
    return dict(inputs)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def test_a_model_of_a_real_size_is_weighed_without_memory(tmp_path: Path) -> None:
    """Qwen2.5-VL 3B: its safetensors index on the Hub states 7,509,245,952 bytes."""
    from transformers import Qwen2_5_VLConfig

    from vlm_app.engine.anatomy import anatomy, build

    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    text = {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_key_value_heads": 2,
    }
    text |= {"num_attention_heads": 16, "vocab_size": 151936, "rope_parameters": rope}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 2048}
    Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True).save_pretrained(
        tmp_path
    )
    body = anatomy(build(tmp_path))
    assert body.weights.bytes("bf16", "bf16") == pytest.approx(7_509_245_952, rel=0.001)
    assert body.weights.bytes("nf4", "bf16") < 0.4 * body.weights.bytes("bf16", "bf16")
    assert sum(each for each, _ in body.cache) == 36 * 2 * 2 * 128  # layers, keys and values, heads, width


def test_a_longer_context_and_a_larger_image_need_more() -> None:
    row = checkpoints.row("qwen2_vl")
    short, long = (estimate(row, "bf16", tokens=tokens) for tokens in (1000, 2000))
    assert short and long and long.cache == 2 * short.cache
    small, large = (estimate(row, "bf16", tokens=10, pixels=pixels) for pixels in (28 * 28 * 4, 28 * 28 * 40))
    assert small and large and small.images < large.images


def test_a_sliding_window_keeps_no_more_than_it_sees() -> None:
    row = checkpoints.row("gemma3")  # one of its layers looks back 64 tokens
    short, long = (estimate(row, "bf16", tokens=tokens) for tokens in (64, 4096))
    assert short and long and long.cache < 64 * short.cache


def test_a_context_without_end_counts_as_a_long_chat() -> None:
    row = replace(checkpoints.row("llava"), context=1_000_000)
    assert estimate(row, "bf16") == estimate(replace(row, context=0), "bf16", tokens=4096)
    assert TOKENS == 8192


# --- what is known of it ------------------------------------------------------------------


def _rough(**changes: Any) -> Checkpoint:
    facts = {
        "name": "Big",
        "family": "qwen3_vl",
        "tasks": frozenset({Task.CHAT}),
        "parameters": 4_000_000_000,
    }
    return Checkpoint(id="big", source="some/big", **(facts | changes))


def test_without_files_the_number_of_parameters_gives_a_rough_estimate() -> None:
    found = estimate(_rough(), "bf16")
    assert found and not found.exact and found.weights == 8_000_000_000 < found.total < 12_000_000_000
    assert fit(_rough(), 20 * 10**9).words.startswith("fits in ")
    assert " with about " in fit(_rough(), 20 * 10**9).words


def test_of_what_nothing_is_known_nothing_is_said() -> None:
    assert estimate(_rough(parameters=0), "bf16") is None and fit(_rough(parameters=0), 10**9) is None


def test_files_that_are_quantized_already_weigh_what_they_weigh(tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoints.checkpoint("llava"), tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    row = replace(checkpoints.row("llava"), source=str(folder))
    stored = (folder / "model.safetensors").stat().st_size
    assert memory.choices(row) == ("own (gptq)",)
    assert fit(row, 10**9).estimate.weights == pytest.approx(stored, rel=0.05)
    assert "quantized already (gptq)" in memory.unquantizable(row, "nf4")


def test_the_hub_is_asked_for_headers_and_not_for_weights(hub: FakeHub) -> None:
    folder = checkpoints.checkpoint("qwen2_vl")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repos["some/model"] = Repo({"1" * 40: files})
    row = replace(checkpoints.row("qwen2_vl"), source="some/model")
    assert estimate(row, "nf4") is None and not hub.asked
    found = estimate(row, "nf4", ask_hub=True)
    assert found is not None and found.exact
    assert found == estimate(checkpoints.row("qwen2_vl"), "nf4")
    assert hub.ranges and not any(path.endswith("tokenizer.json") for path in hub.asked)
    hub.asked.clear()
    assert estimate(row, "bf16", ask_hub=True) and not hub.asked


def test_weights_in_several_files_are_all_counted(hub: FakeHub, tmp_path: Path) -> None:
    whole = checkpoints.row("qwen2_vl")
    model = load_checkpoint(whole, "bf16").model
    model.save_pretrained(tmp_path, max_shard_size="300KB")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    preprocessor = Path(whole.source, "processor_config.json")
    hub.repos["some/model"] = Repo({"1" * 40: files | {preprocessor.name: preprocessor.read_bytes()}})
    assert sum(name.endswith(".safetensors") for name in files) > 2
    found = estimate(replace(whole, source="some/model"), "nf4", ask_hub=True)
    assert found == estimate(whole, "nf4")
    assert not any((settings().data / "cache" / "hub").rglob("*.safetensors"))


@pytest.mark.parametrize("file", [b"", b"\xff" * 100, b"\x05\0\0\0\0\0\0\0[1,2]"])
def test_damaged_headers_on_the_hub_are_a_sentence(hub: FakeHub, file: bytes) -> None:
    hub.repos["some/big"] = Repo({"1" * 40: {"config.json": b"{}", "model.safetensors": file}})
    with pytest.raises(ModelUnavailable, match="The size of some/big could not be found out"):
        estimate(_rough(), "bf16", ask_hub=True)


def test_without_a_network_it_is_said_that_the_size_could_not_be_found_out() -> None:
    with pytest.raises(
        ModelUnavailable, match="The size of some/big could not be found out: check the network"
    ):
        estimate(_rough(), "bf16", ask_hub=True)


def test_a_config_that_no_class_reads_gives_a_rough_estimate(tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoints.checkpoint("llava"), tmp_path / "odd")
    (folder / "config.json").write_text('{"model_type": "llava", "text_config": {"model_type": "nobody"}}')
    found = estimate(replace(checkpoints.row("llava"), source=str(folder), parameters=10**6), "bf16")
    assert found and not found.exact and found.weights == 2_000_000


def test_new_files_in_a_folder_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoints.checkpoint("llava"), folder)
    row = replace(checkpoints.row("llava"), source=str(folder))
    before = estimate(row, "bf16")
    shutil.rmtree(folder)
    assert estimate(row, "bf16") is None
    shutil.copytree(checkpoints.checkpoint("pixtral"), folder)
    assert before and estimate(replace(row, family="pixtral"), "bf16") != before


def test_the_whole_catalog_gets_its_verdict_at_once() -> None:
    rows = list(catalog().values())
    for row in rows:
        fit(row, 8 * 10**9)  # those on disk are worked out once
    took = min(_seconds(lambda: [fit(row, 8 * 10**9) for row in rows]) for _ in range(5))
    assert took < size(500, 50) / 1000  # seconds; the small size allows for a busy machine


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# --- the verdict --------------------------------------------------------------------------


def test_the_verdict_is_told_in_words() -> None:
    some = Estimate(4_000_000_000, 600_000_000, 400_000_000, 200_000_000, exact=True)
    assert Fit("nf4", some, 7_300_000_000).words == "fits in nf4 with 2.1 GB to spare"
    assert Fit("nf4", some, 3_100_000_000).words == "needs 5.2 GB in nf4, and 3.1 GB are free"
    assert Fit("nf4", some, some.total).fits and not Fit("nf4", some, some.total - 1).fits


def test_auto_is_the_best_precision_that_fits() -> None:
    row = scaled("qwen3_vl")
    totals = {name: estimate(row, name).total for name in memory.choices(row)}
    names = list(totals)
    assert names[1:] == ["int8", "nf4"]
    for name in names:
        assert fit(row, totals[name]).precision == name
    assert not fit(row, totals["nf4"] - 1).fits


def test_what_bitsandbytes_cannot_do_on_this_device_is_not_tried() -> None:
    assert "int8" not in memory.choices(checkpoints.row("mllama"))


def test_without_bitsandbytes_there_is_one_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_bitsandbytes", lambda: False)
    row = checkpoints.row("llava")
    assert len(memory.choices(row)) == 1
    assert memory.unquantizable(row, "nf4") == "nf4 needs the package bitsandbytes, which is not installed"


def test_only_remedies_that_fit_are_named() -> None:
    row = scaled("qwen3_vl")
    nf4 = estimate(row, "nf4")
    assert nf4 is not None
    assert f"nf4 would need {memory.size(nf4.total)}" in remedy(row, "bf16", None, nf4.total)
    assert "int8" not in remedy(row, "bf16", None, nf4.total)
    assert remedy(row, "nf4", None, 1000) == "choose a smaller model"


def test_half_the_pixels_are_a_remedy_where_they_save_something(tmp_path: Path) -> None:
    small = scaled("qwen2_5_vl")
    assert remedy(small, "nf4", None, 10**12) == "choose a smaller model"  # its images are tiny
    folder = shutil.copytree(small.source, tmp_path / "large")
    config = json.loads((folder / "processor_config.json").read_text())
    config["image_processor"]["size"]["longest_edge"] = 3_000_000
    (folder / "processor_config.json").write_text(json.dumps(config))
    row = replace(small, source=str(folder))
    whole, half = (estimate(row, "nf4", pixels=pixels) for pixels in (3_000_000, 1_500_000))
    assert whole is not None and half is not None and half.images < 0.6 * whole.images
    words = f"halving the pixel budget saves {memory.size(whole.total - half.total)}"
    assert remedy(row, "nf4", 3_000_000, half.total) == words
    assert remedy(row, "nf4", 3_000_000, half.total - 1) == "choose a smaller model"


def test_whoever_asked_first_is_not_kept_with_the_shapes() -> None:
    shapes_module._shapes.cache_clear()
    watch = Watch()
    kept = weakref.ref(watch)
    assert shapes_module.shapes(scaled("smolvlm"), watch)
    del watch
    assert kept() is None
