"""int8 and nf4 on this computer: they load, are smaller, and Pebble loses next to nothing by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.tiny import row
from tests.families import checkpoints
from tests.sizes import PRECISION_LOSS, PRECISION_SCENES
from vlm_app.engine import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.pebble.evaluate import FOLDER, Examinee, Item, items
from vlm_app.pebble.processor import END
from vlm_app.pebble.scores import Tally
from vlm_app.types import Checkpoint, Role, Task, Turn

QUANTIZED = ["int8", "nf4"]
FAMILIES = ["gemma3", "internvl", "llava", "qwen2_5_vl"]
BATCH = 32
Numbers = np.ndarray[Any, Any]


def tensor_bytes(loaded: LoadedModel, kind: type = torch.nn.Module) -> int:
    """Of the parameters and buffers of the modules of a kind."""
    modules = [module for module in loaded.model.modules() if isinstance(module, kind)]
    tensors = {id(t): t for m in modules for t in (*m.parameters(False), *m.buffers(False))}
    return sum(tensor.nbytes for tensor in tensors.values())


def checkpoint(name: str) -> Checkpoint:
    return row(FOLDER) if name == "pebble" else checkpoints.row(name)


@pytest.mark.parametrize("name", ["pebble", *FAMILIES])
def test_a_quantized_model_is_as_much_smaller_as_its_bits_say_and_answers(name: str) -> None:
    whole = load_checkpoint(checkpoint(name), "bf16")
    small = {precision: load_checkpoint(checkpoint(name), precision) for precision in QUANTIZED}
    for precision, share in (("int8", 1 / 2), ("nf4", 1 / 4)):
        loaded = small[precision]
        assert loaded.precision == precision
        # What is quantized are the linear layers; the rest, as embeddings, stays as it was.
        linear, before = tensor_bytes(loaded, torch.nn.Linear), tensor_bytes(whole, torch.nn.Linear)
        heads = tensor_bytes(loaded) - linear, tensor_bytes(whole) - before
        assert heads[0] <= heads[1] * 1.02
        kept = whole.model.get_output_embeddings().weight.nbytes
        assert linear - kept == pytest.approx((before - kept) * share, rel=0.12)
        assert len(answer(loaded)) > 0
    assert small["nf4"].bytes < small["int8"].bytes < whole.bytes


def answer(loaded: LoadedModel) -> list[int]:
    turns = (Turn(Role.USER, (checkpoints.picture(), "What is in the image?")),)
    inputs, _ = loaded.family.encode(loaded.processor, turns, task=Task.CHAT)
    dtype = loaded.model.dtype
    placed = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    out = loaded.model.generate(**placed, max_new_tokens=4, do_sample=False)
    return list(out[0, inputs["input_ids"].shape[1] :].tolist())


# --- scores -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asked() -> list[Item]:
    """Questions whose answers are about as long follow one another: few wait for the longest."""
    return sorted(items(PRECISION_SCENES), key=lambda item: len(item.truth))


@pytest.fixture(scope="module")
def in_bf16(asked: list[Item]) -> Numbers:
    return scores("bf16", asked)


def scores(precision: str, asked: list[Item]) -> Numbers:
    """Each answer's score, from 0 to 1."""
    loaded = load_checkpoint(row(FOLDER), precision)
    see_each_picture_once(loaded.model.model.vision_model)
    pebble = object.__new__(Examinee)  # as the engine has loaded it
    pebble._torch, pebble.processor, pebble.model = torch, loaded.processor, loaded.model
    pebble.processor.tokenizer.padding_side = "left"
    answers: list[str] = []
    for start in range(0, len(asked), BATCH):
        answers += pebble.answer(asked[start : start + BATCH])
    assert not any(END in answer for answer in answers)
    return np.array([score(item, answer) for item, answer in zip(asked, answers, strict=True)])


def see_each_picture_once(encoder: Any) -> None:
    """Several questions are about one picture: its features are kept, which halves the time."""
    forward = encoder.forward
    seen: dict[bytes, torch.Tensor] = {}

    def remembered(pixel_values: torch.Tensor, patch_attention_mask: Any = None, **more: Any) -> Any:
        keys = [image.view(torch.int16).numpy().tobytes() for image in pixel_values]
        new = [place for place, key in enumerate(keys) if key not in seen and keys.index(key) == place]
        out = None
        if new:
            mask = None if patch_attention_mask is None else patch_attention_mask[new]
            out = forward(pixel_values=pixel_values[new], patch_attention_mask=mask, **more)
            seen.update(zip([keys[place] for place in new], out.last_hidden_state, strict=True))
            kinds.append(type(out))
        return kinds[0](last_hidden_state=torch.stack([seen[key] for key in keys]))

    kinds: list[Any] = []
    encoder.forward = remembered


def score(item: Item, answer: str) -> float:
    """Right or wrong; the F1 of this one picture where the answer lists things."""
    tally = Tally()
    tally.add(item.skill, answer, item.truth, item.slack)
    return tally.f1 if tally.found + tally.true else float(tally.right)


def upper_end(losses: Numbers) -> float:
    """Of a 95 % bootstrap interval of the mean loss, in points."""
    rng = np.random.default_rng(0)
    means = [losses[rng.integers(0, len(losses), len(losses))].mean() for _ in range(2000)]
    return float(100 * np.quantile(means, 0.975))


@pytest.mark.timeout(7200)  # at the full size
@pytest.mark.parametrize("precision", QUANTIZED)
def test_pebble_answers_as_well_when_it_is_quantized(
    precision: str, asked: list[Item], in_bf16: Numbers
) -> None:
    losses = in_bf16 - scores(precision, asked)
    told = f"{len(asked)} questions, {100 * in_bf16.mean():.2f} in bf16, {100 * losses.mean():.2f} lost"
    print(precision, told, f"{upper_end(losses):.2f} at most")
    assert upper_end(losses) < PRECISION_LOSS, told
