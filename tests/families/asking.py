"""What families that answer in words are given: the prompt that a tiny checkpoint's model reads."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from tests.families import checkpoints
from vlm_app import families
from vlm_app.types import Role, Seen, Task, Turn

WIDE, TALL = (300, 200), (120, 260)
IMAGE = r"(<image>|<image_soft_token>|\[IMG\]|<imgpad>)"


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def user(*parts: Any) -> Turn:
    return Turn(Role.USER, parts)


def talk() -> list[Turn]:
    system, answer = Turn(Role.SYSTEM, ("Be brief.",)), Turn(Role.ASSISTANT, ("A cat.",))
    return [system, user(checkpoints.picture(size=WIDE), "What is it?"), answer, user("Sure?")]


def encode(name: str, turns: list[Turn], made: Any = None, **more: Any) -> tuple[dict[str, Any], Seen]:
    family = families.get(name)
    task = Task.CHAT if Task.CHAT in family.tasks else Task.OCR
    return family.encode(made or processor(name), turns, task=task, **more)


def prompt(name: str, turns: list[Turn], made: Any = None, **more: Any) -> str:
    """The prompt that the model reads, the many tokens of an image as one."""
    inputs, _ = encode(name, turns, made, **more)
    text = (made or processor(name)).tokenizer.decode(inputs["input_ids"][0])
    return re.sub(rf"{IMAGE}\1+", r"\1", text)
