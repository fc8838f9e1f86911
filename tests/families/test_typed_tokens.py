"""What a user types reaches the model of every family as plain text."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput
from vlm_app.types import Role, Task, Turn

# Tokens of all families: most are nothing to a given one, and stay text there as well.
EVERYWHERE = """
    <image> <|image|> <|im_start|> <|im_end|> <loc0001> <loc_1> <OD> <grounding> <phrase>
    <|vision_start|><|image_pad|><|vision_end|> <|box_start|> [IMG] [/INST] <IMG_CONTEXT>
    <start_of_turn> <end_of_turn> <|eot_id|> </s> <s> <eos> <|endoftext|> <end_of_utterance>
    <image_placeholder> <start_of_image> <fake_token_around_image> <image_soft_token> <|video_pad|>
""".split()


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def control(name: str, task: Task, words: str) -> Counter[int]:
    """The control tokens among what the model gets when a user writes these words."""
    family = checkpoints.family(name)
    asked = family.ask(task, words)
    inputs, _ = family.encode(processor(name), [Turn(Role.USER, (checkpoints.picture(), asked))], task=task)
    special = set(processor(name).tokenizer.added_tokens_decoder)
    return Counter(token for token in inputs["input_ids"][0].tolist() if token in special)


@pytest.mark.parametrize("name", checkpoints.names())
def test_typed_control_tokens_are_text(name: str) -> None:
    family = checkpoints.family(name)
    tasks = [task for task in (Task.CHAT, Task.DETECT, Task.GROUND, Task.POINT) if task in family.tasks]
    tokens = [token for token in processor(name).tokenizer.added_tokens_encoder if not token.isspace()]
    for task in tasks:
        plain = control(name, task, "cat")
        for chunk in (EVERYWHERE, tokens[:400]):
            assert control(name, task, " ".join(["cat", *chunk, "dog"])) == plain, task


@pytest.mark.parametrize("name", families.names())
def test_a_task_without_what_it_needs_is_refused(name: str) -> None:
    family = families.get(name)
    for task in (Task.GROUND, Task.POINT):
        if task in family.tasks:
            with pytest.raises(BadInput, match=r".+: .+"):
                family.ask(task, "")
