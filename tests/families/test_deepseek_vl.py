"""DeepSeek-VL in its two classes: the 1.3B model with one encoder, the 7B model with two."""

from __future__ import annotations

import pytest
from transformers import AutoProcessor

from tests.families import checkpoints
from vlm_app import families
from vlm_app.types import Role, Seen, Task, Turn

PADDED = "The image was padded to a square."


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("deepseek_vl", (300, 200), Seen((64, 64), 1, 16, note=PADDED)),
        ("deepseek_vl", (90, 90), Seen((64, 64), 1, 16)),
        (
            "deepseek_vl_hybrid",
            (300, 200),
            Seen((128, 128), 1, 16, note=f"{PADDED} It was seen at 64 × 64 as well."),
        ),
        ("deepseek_vl_hybrid", (90, 90), Seen((128, 128), 1, 16, note="It was seen at 64 × 64 as well.")),
    ],
)
def test_what_each_encoder_saw_is_said(name: str, image: tuple[int, int], expected: Seen) -> None:
    processor = AutoProcessor.from_pretrained(checkpoints.checkpoint(name))
    turns = [Turn(Role.USER, (checkpoints.picture(size=image), "What is it?"))]
    inputs, seen = families.get("deepseek_vl").encode(processor, turns, task=Task.CHAT)
    assert seen == expected
    assert (inputs["input_ids"] == processor.image_token_id).sum() == seen.visual_tokens
    assert inputs["pixel_values"].shape[-2:] == (64, 64)
    if name == "deepseek_vl_hybrid":
        assert inputs["high_res_pixel_values"].shape[-2:] == (128, 128)


def test_both_are_asked_with_the_same_words() -> None:
    turns = [Turn(Role.USER, (checkpoints.picture(), "Is it <image_placeholder>red?"))]
    prompts = set()
    for name in ("deepseek_vl", "deepseek_vl_hybrid"):
        processor = AutoProcessor.from_pretrained(checkpoints.checkpoint(name))
        inputs, _ = families.get("deepseek_vl").encode(processor, turns, task=Task.CHAT)
        prompts.add(tuple(inputs["input_ids"][0].tolist()))
    assert len(prompts) == 1
