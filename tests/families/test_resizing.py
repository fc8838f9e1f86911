"""Qwen and GLM see an image in whole patches: what the model gets, and what is said of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput
from vlm_app.types import Box, Region, Role, Seen, Task, Turn

NATIVE = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v")
QUESTION = "What is in the image?"
RENDERED = {
    "qwen2_vl": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|>{}<|vision_end|>What is in the image?<|im_end|>\n<|im_start|>assistant\n",
    "qwen3_vl": "<|im_start|>user\n<|vision_start|>{}<|vision_end|>What is in the image?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "glm4v": "[gMASK]<sop><|user|>\n<|begin_of_image|>{}<|end_of_image|>What is in the image?<|assistant|>\n",
}
RENDERED["qwen2_5_vl"] = RENDERED["qwen2_vl"]
IMAGE = {"glm4v": "<|image|>"}


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def encode(name: str, size: tuple[int, int] = (300, 200), **more: Any) -> tuple[dict[str, Any], Seen]:
    turns = [Turn(Role.USER, (checkpoints.picture(size=size), QUESTION))]
    return families.get(name).encode(processor(name), turns, task=Task.CHAT, **more)


@pytest.mark.parametrize("name", NATIVE)
def test_the_prompt_is_the_template_s(name: str) -> None:
    inputs, seen = encode(name)
    prompt = processor(name).tokenizer.decode(inputs["input_ids"][0])
    image = IMAGE.get(name, "<|image_pad|>")
    assert prompt == RENDERED[name].format(image * seen.visual_tokens)


@pytest.mark.parametrize("size", [(300, 300), (900, 120), (60, 700), (9, 5), (1600, 1200)])
@pytest.mark.parametrize("pixels", [None, 20_000])
@pytest.mark.parametrize("name", NATIVE)
def test_what_the_model_saw_is_what_was_encoded(name: str, pixels: int | None, size: tuple[int, int]) -> None:
    inputs, seen = encode(name, size, pixels=pixels)
    reader = processor(name).image_processor
    _, rows, columns = inputs["image_grid_thw"][0].tolist()
    assert seen.size == (columns * reader.patch_size, rows * reader.patch_size)
    image = processor(name).tokenizer.convert_tokens_to_ids(IMAGE.get(name, "<|image_pad|>"))
    assert seen.visual_tokens == inputs["input_ids"][0].tolist().count(image) > 0
    if pixels and size == (1600, 1200):
        assert seen.size[0] * seen.size[1] <= pixels


@pytest.mark.parametrize("name", NATIVE)
def test_a_very_narrow_image_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(BadInput, match="200 times as long as wide, found 1500 × 5"):
        encode(name, (1500, 5))


@pytest.mark.parametrize("name", NATIVE)
def test_an_answer_to_learn_is_followed_by_its_end(name: str) -> None:
    family = families.get(name)
    answer = family.write([Region("cat", Box(0.1, 0.2, 0.3, 0.4))], image_size=(300, 200))
    inputs, _ = encode(name, answer=answer)
    learned = [label for label in inputs["labels"][0].tolist() if label != -100]
    assert processor(name).tokenizer.decode(learned) == answer + family.end
    ids = processor(name).tokenizer.added_tokens_decoder
    written = [*family.markup.findall(answer), family.end]
    assert [str(ids[token]) for token in learned if token in ids] == written


@pytest.mark.parametrize("name", NATIVE)
def test_an_earlier_answer_is_read_as_it_was_written(name: str) -> None:
    turns = [
        Turn(Role.SYSTEM, ("Be brief.",)),
        Turn(Role.USER, (checkpoints.picture(), "Where?")),
        Turn(Role.ASSISTANT, ("There.",)),
        Turn(Role.USER, ("Sure?",)),
    ]
    inputs, _ = families.get(name).encode(processor(name), turns, task=Task.CHAT)
    prompt = processor(name).tokenizer.decode(inputs["input_ids"][0])
    expected = (
        "There.<|user|>\nSure?<|assistant|>"
        if name == "glm4v"
        else "There.<|im_end|>\n<|im_start|>user\nSure?"
    )
    assert "Be brief." in prompt and expected in prompt
