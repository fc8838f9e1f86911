"""Another model inside a chat, with real tiny checkpoints of two families through the real engine.

Only which token is likeliest is decided by the test: the classes, the processors, the
encoding and the generation are the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.engine.ready import Ready
from tests.engine.tiny import row as pebble_row
from tests.engine.tiny import save_pebble
from tests.families import checkpoints
from vlm_app.chat import Chats, ChatSettings, Conversation
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.batching import share
from vlm_app.engine.loading import load_checkpoint
from vlm_app.store import Store
from vlm_app.types import Answer, Box, Region, Role, Sampling, Task, Turn

OWNER = "ada"
RED, BLUE = checkpoints.picture("red"), checkpoints.picture("blue")
CIRCLE = Region("red circle", Box(0.25, 0.25, 0.5, 0.5))
# A writes regions, B answers in between; the fifth and sixth B take one image, the sixth no past.
PAIRS = [
    ("pebble", "qwen2_5_vl"),
    ("qwen2_5_vl", "smolvlm"),
    ("internvl", "molmo2"),
    ("qwen2_vl", "gemma3"),
    ("qwen3_vl", "blip2"),
    ("pebble", "kosmos2"),
]


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pebble(tmp_path_factory.mktemp("switching") / "pebble")


@cache
def tiny(family: str, pebble: Path) -> LoadedModel:
    row = pebble_row(pebble) if family == "pebble" else checkpoints.row(family)
    loaded = load_checkpoint(row, "fp32")
    share(loaded)
    return loaded


@contextmanager
def says(loaded: LoadedModel, text: str) -> Iterator[None]:
    """The next answer is this text."""
    import torch
    from transformers import LogitsProcessorList

    tokenizer = loaded.processor.tokenizer
    end = tokenizer.convert_tokens_to_ids(loaded.family.end)
    script = iter(tokenizer.encode(text, add_special_tokens=False))

    def force(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(scores, -1e4)
        forced[..., next(script, end)] = 1e4
        return forced

    together, alone = "vlm_app.engine.batching.choosing.sampler", "vlm_app.engine.generation.sampler"

    def forced(*_: object) -> LogitsProcessorList:
        return LogitsProcessorList([force])

    with patch(together, forced), patch(alone, forced):
        yield


class Talk:
    """One chat of two models."""

    def __init__(self, chats: Chats, *models: LoadedModel) -> None:
        self.chats = chats
        self.models = {loaded.checkpoint.id: loaded for loaded in models}
        chosen = ChatSettings(models[0].checkpoint.id, sampling=Sampling(max_tokens=96))
        self.shown = replace(chats.new(OWNER), settings=chosen)

    def ask(self, loaded: LoadedModel, text: str, *parts: Any) -> Answer:
        """What the model answers, that says `text`, to a message of these parts."""
        self.shown = replace(self.shown, settings=replace(self.shown.settings, model=loaded.checkpoint.id))
        with says(loaded, text):
            *_, last = self.chats.send(OWNER, self.shown, parts)
        self.shown = last.conversation
        return last.answer

    def kept(self) -> Conversation:
        return self.chats.open(OWNER, self.shown.id)


def prompt_of(loaded: LoadedModel, *turns: Turn) -> str:
    """The family's own rendering of these turns, the tokens of an image as one."""
    inputs, _ = loaded.family.encode(loaded.processor, turns, task=Task.CHAT)
    text = loaded.processor.tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=False)
    image = re.escape(str(getattr(loaded.processor, "image_token", "<image>")))
    return re.sub(f"({image})+", lambda found: found[1], text)


def written(loaded: LoadedModel) -> str:
    """A circle, as this family writes one about the first image."""
    size = RED.size
    _, seen = loaded.family.encode(
        loaded.processor, (Turn(Role.USER, (RED, "Where is it?")),), task=Task.CHAT
    )
    return loaded.family.write([CIRCLE], image_size=size, input_size=seen.size)


@pytest.fixture
def talk(request: pytest.FixtureRequest, pebble: Path, tmp_path: Path) -> Iterator[Talk]:
    one, other = (tiny(family, pebble) for family in request.param)
    rows = {loaded.checkpoint.id: loaded.checkpoint for loaded in (one, other)}
    engine, store = Engine(rows, Ready(one, other)), Store(tmp_path / "kept")
    yield Talk(Chats(store, engine, rows.__getitem__), one, other)
    assert engine.leases == {}
    store.close()


@pytest.mark.parametrize("talk", PAIRS, indirect=True, ids="-".join)
def test_a_chat_goes_from_one_family_to_another_and_back(talk: Talk) -> None:
    one, other = talk.models.values()
    raw = written(one)
    first = talk.ask(one, raw, RED, "Where is it?")
    between = talk.ask(other, "a blue square", BLUE, "And what is this?")
    back = talk.ask(one, raw, "Where is that?")

    assert [each.model for each in (first, between, back)] == [*talk.models, one.checkpoint.id]
    assert (first.text, between.text.strip(), back.text) == ("red circle", "a blue square", "red circle")
    assert [each.finish for each in (first, between, back)] == ["stop"] * 3

    asked = Turn(Role.USER, (RED, "Where is it?")), Turn(Role.USER, (BLUE, "And what is this?"))
    limited = other.checkpoint.max_images or other.family.max_images
    mine = Turn(Role.USER, asked[0].parts[1:]) if limited else asked[0]
    past = (mine, Turn(Role.ASSISTANT, (first.text,))) if not other.family.last_message_only else ()
    assert between.prompt == prompt_of(other, *past, asked[1])
    assert raw not in between.prompt
    assert "red circle" in between.prompt or not past
    again = (asked[0], Turn(Role.ASSISTANT, (first.raw,)), asked[1], Turn(Role.ASSISTANT, (between.text,)))
    assert back.prompt == prompt_of(one, *again, Turn(Role.USER, ("Where is that?",)))

    regions = [each.answer.regions for each in talk.kept().messages if each.answer]
    assert [[region.image for region in each] for each in regions] == [[0], [], [1]]
    assert regions[0][0].shape == first.regions[0].shape


@pytest.mark.parametrize("talk", [("qwen2_5_vl", "kosmos2")], indirect=True, ids="-".join)
def test_regions_of_a_model_that_got_one_image_lie_on_the_right_one(talk: Talk) -> None:
    one, other = talk.models.values()
    talk.ask(one, "two pictures", RED, BLUE, "What are these?")
    answer = talk.ask(other, written(other), checkpoints.picture("green"), "And this?")
    assert (answer.text, [region.image for region in answer.regions]) == ("red circle", [2])
    answer = talk.ask(other, written(other), "Where is it?")
    assert [region.image for region in answer.regions] == [2]


@pytest.mark.parametrize("talk", [("qwen2_5_vl", "kosmos2")], indirect=True, ids="-".join)
def test_a_second_answer_stands_beside_the_first(talk: Talk) -> None:
    one, other = talk.models.values()
    first = talk.ask(one, written(one), RED, "Where is it?")
    chosen = replace(talk.shown.settings, model=other.checkpoint.id)
    with says(other, written(other)):
        *_, last = talk.chats.ask_beside(OWNER, talk.shown.id, chosen)
    given = talk.kept().messages[1].given
    assert [each.answer for each in given] == [first, last.answer]
    assert [each.answer.regions[0].label for each in given] == ["red circle"] * 2
    assert talk.kept().settings.model == one.checkpoint.id
