"""A merged model answers as the adapter did on the base that it was evaluated on."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.tiny import picture
from tests.families import checkpoints
from tests.finetune.adapters.made import LANGUAGE, PEBBLE, save
from vlm_app import hub
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LoadedModel, adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.loading import load_checkpoint
from vlm_app.engine.merging import merge
from vlm_app.errors import BadInput, ModelUnavailable, NotFound
from vlm_app.finetune.adapters import Adapters
from vlm_app.settings import settings
from vlm_app.types import Answer, Checkpoint, Request, Role, Task, Turn

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
QUESTION = (Turn(Role.USER, (picture(), "What is in the image?")),)
ALIKE = 0.01  # the largest difference of a logit, in fp32
TELLS = 0.1  # the least that the adapter of a test changes one


@pytest.fixture(autouse=True)
def in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a computer that multiplies fp32 best: what is compared is the weights, not bf16's rounding."""
    monkeypatch.setattr("vlm_app.engine.quantizing.best_precision", lambda device: "fp32")
    monkeypatch.setattr("vlm_app.engine.loading.best_precision", lambda device: "fp32")


def made(base: Checkpoint, **options: Any) -> Adapter:
    save(Path(base.source), settings().data / "adapters" / "a", **options)
    return adapters.find("a")


def logits(loaded: LoadedModel) -> torch.Tensor:
    inputs, _ = loaded.family.encode(loaded.processor, QUESTION, task=Task.CHAT)
    dtype = loaded.model.dtype
    with torch.inference_mode():
        return loaded.model(
            **{k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
        ).logits


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return (one.float() - other.float()).abs().max().item()


@pytest.fixture(params=["pebble", "qwen2_5_vl"])
def base(request: pytest.FixtureRequest) -> Checkpoint:
    return catalog()["pebble"] if request.param == "pebble" else checkpoints.row(request.param)


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_the_merged_model_answers_as_the_chat_did_with_the_adapter(base: Checkpoint, precision: str) -> None:
    adapter = made(base)
    loaded = load_checkpoint(base, precision)
    alone = logits(loaded)
    adapters.use(loaded, adapter)
    chatted = logits(loaded)  # twice by now: on some CPUs that used to repack the weights
    merge(loaded, adapter)
    assert loaded.model.dtype is torch.float32
    assert apart(chatted, alone) > TELLS
    assert apart(logits(loaded), chatted) < ALIKE


def test_of_int8_what_remains_is_the_rounding_of_what_goes_through_the_weights(base: Checkpoint) -> None:
    adapter = made(base)
    loaded = load_checkpoint(base, "int8")
    adapters.use(loaded, adapter)
    chatted = logits(loaded)
    same = load_checkpoint(base, "int8")
    same.model.dequantize(dtype=torch.float32)
    adapters.use(same, adapter)
    exact = logits(same)  # the same weights and adapter; only activations are not rounded to eight bits
    merge(loaded, adapter)
    assert apart(logits(loaded), exact) < ALIKE
    assert apart(logits(loaded), chatted) <= apart(exact, chatted) + ALIKE


def test_a_chat_before_it_changes_nothing_of_what_is_merged() -> None:
    base = checkpoints.row("qwen2_5_vl")
    adapter, merged = made(base), []
    for chats in (0, 3):
        loaded = load_checkpoint(base, "nf4")
        for _ in range(chats):
            adapters.use(loaded, adapter)
            logits(loaded)
            adapters.use(loaded, None)
        merge(loaded, adapter)
        merged.append({name: weight.clone() for name, weight in loaded.model.state_dict().items()})
    assert merged[0].keys() == merged[1].keys()
    assert all(torch.equal(weight, merged[1][name]) for name, weight in merged[0].items())


def test_merging_into_the_original_would_not_answer_so(base: Checkpoint) -> None:
    adapter = made(base)
    evaluated, original = load_checkpoint(base, "nf4"), load_checkpoint(base, "fp32")
    adapters.use(evaluated, adapter)
    merge(original, adapter)
    assert apart(logits(original), logits(evaluated)) > ALIKE


@pytest.mark.parametrize(
    "options",
    [{"use_dora": True}, {"use_rslora": True}, {"modules_to_save": ["model.connector"]}],
    ids=lambda options: next(iter(options)),
)
def test_every_kind_of_adapter_that_a_run_makes_can_be_merged(options: dict[str, Any]) -> None:
    base = catalog()["pebble"]
    adapter = made(base, **options)
    loaded = load_checkpoint(base, "fp32")
    adapters.use(loaded, adapter)
    chatted = logits(loaded)
    merge(loaded, adapter)
    assert apart(logits(loaded), chatted) < ALIKE
    assert not any("lora" in name or "modules_to_save" in name for name, _ in loaded.model.named_modules())


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings:UserWarning")
def test_weights_that_the_base_uses_in_two_places_are_not_changed_for_both() -> None:
    base = catalog()["pebble"]
    loaded = load_checkpoint(base, "fp32")
    assert loaded.model.get_output_embeddings().weight is loaded.model.get_input_embeddings().weight
    adapter = made(base, target_modules=f"{LANGUAGE}|lm_head")
    with pytest.raises(ModelUnavailable, match="in two places"):
        merge(loaded, adapter)


def test_an_adapter_for_another_base_is_refused() -> None:
    adapter = made(checkpoints.row("qwen2_5_vl"))
    with pytest.raises(BadInput, match="made for"):
        merge(load_checkpoint(catalog()["pebble"], "fp32"), adapter)


# --- the folder ---------------------------------------------------------------------------


def ask(engine: Engine, model: str, adapter: str | None = None, precision: str = "fp32") -> Answer:
    *_, last = engine.answer(Request(QUESTION, model, precision=precision, adapter=adapter, owner="ada"))
    assert last.answer is not None
    return last.answer


def test_the_folder_is_a_model_that_the_app_adds_and_that_answers_as_the_adapter_did(
    mine: Adapters, hearts: str, engine: Engine
) -> None:
    said: list[str] = []
    folder = mine.merge("ada", hearts, said.append)
    assert folder == settings().data / "merged" / hearts / "hearts"
    assert any("Loading Pebble in fp32" in each for each in said) and any("Writing" in each for each in said)
    files = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "README.md", "card.json", "tokenizer.json"} <= files
    for name in ("config.json", "README.md", "card.json"):
        assert str(PEBBLE.parent) not in (folder / name).read_text()
    assert json.loads((folder / "card.json").read_text())["owner"] == ""
    row = hub.add(str(folder))
    assert (row.family, row.source) == ("pebble", str(folder))
    assert ask(engine, row.id).text == ask(engine, "pebble", hearts).text != ""
    assert engine.models() and not any("merging" in state.name for state in engine.models())

    said.clear()
    assert mine.merge("ada", hearts, said.append) == folder and said == []  # it is there
    mine.delete("ada", hearts)
    assert folder.is_dir()  # a model that is listed stays


def test_what_cannot_be_merged_is_a_sentence_and_leaves_nothing(
    mine: Adapters, hearts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def merging(match: str, kind: type[Exception] = ModelUnavailable) -> None:
        with pytest.raises(kind, match=match) as told:
            mine.merge("ada", hearts, lambda said: None)
        assert str(told.value).endswith(".")
        assert not (settings().data / "merged" / hearts).exists()

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 9))
        merging("takes .* MB on the disk, and 0 MB are free")
    weights = settings().data / "adapters" / hearts / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    merging("whole weights")  # as the child says
    weights.write_bytes(whole)
    with pytest.raises(NotFound):
        mine.merge("eve", hearts, lambda said: None)


def test_who_does_not_want_to_wait_ends_the_process(
    mine: Adapters, hearts: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []
    begin: Callable[..., Any] = subprocess.Popen

    def popen(*args: Any, **options: Any) -> Any:
        started.append(begin(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)

    def enough(said: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mine.merge("ada", hearts, enough)
    assert [each.poll() is not None for each in started] == [True]
    assert engine.models() == ()
    assert not (settings().data / "merged" / hearts).exists()
