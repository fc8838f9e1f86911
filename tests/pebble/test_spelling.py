"""What Pebble can be taught to write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vlm_app.catalog import find
from vlm_app.engine.loading import load_checkpoint
from vlm_app.families import get
from vlm_app.media import picture_from
from vlm_app.pebble.questions import dialogues
from vlm_app.pebble.spelling import BLANK, LETTERS, plain, spelt
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Role, Task, Turn

WORDS = "A small ball is all that anybody describes: each list, this chat, its value. Everything! Large?"


@pytest.fixture(scope="module")
def loaded() -> Any:
    return load_checkpoint(find("pebble"), "bf16")


def test_the_tokens_that_are_spelt_are_those_that_the_weights_do_not_tell_apart(loaded: Any) -> None:
    rows = loaded.model.get_output_embeddings().weight.float()
    tokenizer = loaded.processor.tokenizer
    apart = (rows - rows[tokenizer.unk_token_id]).norm(dim=1)
    blank = {token for token, id in tokenizer.get_vocab().items() if apart[id] < 1}
    assert {
        token for token in blank if len(token) > 1 and token not in tokenizer.added_tokens_encoder
    } == BLANK
    for letter in LETTERS:
        (token,) = tokenizer.tokenize(letter)
        assert token not in blank
    assert apart.sort().values[len(blank)] > 2  # there is nothing in between


def test_the_words_of_its_world_are_read_and_written_as_they_were_learned(loaded: Any) -> None:
    tokenizer = loaded.processor.tokenizer
    rng = np.random.default_rng(3)
    for _ in range(60):
        for dialogue in dialogues(rng, draw_scene(rng), 10):
            for text in (part for turn in dialogue.turns for part in turn):
                ids = tokenizer.encode(f" {text}", add_special_tokens=False)
                assert spelt(tokenizer, ids) == ids


def test_spelt_words_are_the_same_words(loaded: Any) -> None:
    tokenizer = loaded.processor.tokenizer
    ids = tokenizer.encode(WORDS, add_special_tokens=False)
    assert not BLANK.isdisjoint(tokenizer.convert_ids_to_tokens(ids))
    letters = spelt(tokenizer, ids)
    assert BLANK.isdisjoint(tokenizer.convert_ids_to_tokens(letters))
    assert tokenizer.decode(letters) == WORDS


def test_questions_and_answers_hold_no_token_that_says_nothing(loaded: Any) -> None:
    picture = picture_from(Image.new("RGB", (64, 64), "red"))
    turns = [
        Turn(Role.USER, (picture, WORDS)),
        Turn(Role.ASSISTANT, (WORDS,)),
        Turn(Role.USER, (f"Detect {WORDS}",)),
    ]
    inputs, _ = get("pebble").encode(loaded.processor, turns, task=Task.CHAT, answer=WORDS)
    tokenizer = loaded.processor.tokenizer
    assert BLANK.isdisjoint(tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist()))
    assert inputs["attention_mask"].shape == inputs["labels"].shape == inputs["input_ids"].shape
    answer = inputs["input_ids"][0][inputs["labels"][0] >= 0]
    assert tokenizer.decode(answer, skip_special_tokens=True).strip() == WORDS
    assert torch.equal(inputs["labels"][0][-len(answer) :], answer)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("It's 50 %: naïve, größer, Łódź", "Its 50 : naive, grosser, Lodz"),
        ("red-blue; left/right — “so” & on…", 'red blue, left right "so" and on...'),
        ("漢字", ""),
    ],
)
def test_what_it_has_no_letter_for_is_written_otherwise_or_left_out(text: str, written: str) -> None:
    assert plain(text) == written
