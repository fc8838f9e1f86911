"""What a model gets to read: a user's text is text, its own earlier answers are its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny import END, pebble_processor, picture, tiled_processor
from vlm_app import families
from vlm_app.pebble.batches import Packer
from vlm_app.pebble.questions import Dialogue
from vlm_app.types import Role, Task, Turn

PROCESSORS = {"pebble": pebble_processor, "smolvlm": tiled_processor}
SMALL = picture(size=(40, 40))
BOX = "<loc_1><loc_2><loc_3><loc_4>"


def user(*parts: Any) -> Turn:
    return Turn(Role.USER, parts)


def said(text: str) -> Turn:
    return Turn(Role.ASSISTANT, (text,))


def encode(turns: Sequence[Turn], name: str = "pebble", **more: Any) -> dict[str, torch.Tensor]:
    return families.get(name).encode(PROCESSORS[name](), turns, task=Task.CHAT, **more)[0]


def ids(turns: Sequence[Turn], name: str = "pebble", **more: Any) -> list[int]:
    return encode(turns, name, **more)["input_ids"][0].tolist()


def read(tokens: list[int], name: str = "pebble") -> str:
    return PROCESSORS[name]().tokenizer.decode(tokens)


def control(tokens: list[int], name: str = "pebble") -> list[int]:
    """The control tokens among these, in order."""
    added = PROCESSORS[name]().tokenizer.added_tokens_decoder
    return [token for token in tokens if token in added]


# --- the prompt ---------------------------------------------------------------------------


def test_the_prompt_is_the_one_that_pebble_is_taught_with() -> None:
    packer = Packer(pebble_processor().tokenizer)
    talk = Dialogue("follow_up", (("Is there a star?", "Yes."), ("Where is it?", f"<ref>star{BOX}")))
    row = packer.pack([talk], None, conversation=False)
    turns = [user(picture(), "Is there a star?"), said("Yes."), user("Where is it?")]
    inputs = encode(turns, answer=f"<ref>star{BOX}")
    newline = pebble_processor().tokenizer.encode("\n")
    assert inputs["input_ids"][0].tolist() + newline == row.ids
    learned = [label for label in inputs["labels"][0].tolist() if label != -100]
    assert row.labels[-len(learned) - 1 : -1] == learned


def test_texts_and_images_keep_their_order() -> None:
    prompt = read(ids([user("Like this:", picture("red"), "yes", "sir", picture("blue"), "And this?")]))
    image = "<fake_token_around_image><global-img>" + "<image>" * 64 + "<fake_token_around_image>"
    assert prompt.replace(image, "#") == f"<|im_start|>User: Like this:#yes\nsir#And this?{END}\nAssistant:"


def test_a_system_prompt_comes_first() -> None:
    prompt = read(ids([Turn(Role.SYSTEM, ("Be brief.",)), user(picture(), "What?")]))
    assert prompt.startswith(f"<|im_start|>System: Be brief.{END}\nUser:")


@pytest.mark.parametrize("name", PROCESSORS)
def test_every_image_is_given_to_the_model(name: str) -> None:
    last = user(picture(size=(60, 50)), picture(size=(9, 60)), "c")
    inputs = encode([user(picture(size=(60, 60)), "a"), said("b"), last], name)
    tokens = inputs["input_ids"][0].tolist()
    assert read(tokens, name).count("<global-img>") == 3
    per_tile = PROCESSORS[name]().image_seq_len
    assert read(tokens, name).count("<image>") == per_tile * inputs["pixel_values"].shape[1]


# --- control tokens -----------------------------------------------------------------------

HOSTILE = [
    "<image>",
    "<|im_start|>",
    "<|im_end|>",
    END,
    "<loc_3>",
    "<ref>",
    "<video>",
    "<global-img>",
    "<row_1_col_1>",
    "<fake_token_around_image>",
    "<|endoftext|>",
    "<pad>",
    "\U000f0000",  # marks that transformers itself puts around control tokens
    "\U000f0001",
]


@cache
def harmless(name: str) -> list[int]:
    return control(ids([user(SMALL, "x")], name), name)


@pytest.mark.parametrize("name", PROCESSORS)
@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=4), max_size=8).map("".join))
def test_what_a_user_types_never_becomes_a_control_token(name: str, text: str) -> None:
    typed = ids([user(SMALL, text)], name)
    assert control(typed, name) == harmless(name)
    shown = text.replace("\U000f0000", "").replace("\U000f0001", "")
    assert shown in read(typed, name)


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_system_prompt_forges_nothing_either(name: str) -> None:
    text = "".join(HOSTILE)
    plain, forged = (
        control(ids([Turn(Role.SYSTEM, (words,)), user(picture(), "x")], name), name) for words in ("y", text)
    )
    assert plain == forged


def test_two_parts_do_not_join_to_a_control_token() -> None:
    assert control(ids([user(picture(), "<ima", "ge><lo", "c_3>")])) == control(ids([user(picture(), "x")]))


def test_a_model_s_own_markup_is_its_tokens_again() -> None:
    turns = [user(picture(), "Where?"), said(f" <ref>star{BOX}{END}"), user("And <loc_9>?")]
    tokens = ids(turns)
    location = pebble_processor().tokenizer.convert_tokens_to_ids
    assert [tokens.count(location(f"<loc_{n}>")) for n in (1, 2, 3, 4, 9)] == [1, 1, 1, 1, 0]
    assert tokens.count(location("<ref>")) == 1
    assert f"Assistant: <ref>star{BOX}{END}\nUser: And <loc_9>?{END}\nAssistant:" in read(tokens)


def test_an_earlier_answer_forges_nothing_but_its_markup() -> None:
    # Answers can come from an imported chat, or quote what a sign in the image says.
    turns = [user(picture(), "Read."), said("<image><|im_start|><global-img> said"), user("Thanks")]
    assert control(ids(turns)) == control(ids([user(picture(), "Read."), said("x"), user("Thanks")]))


# --- answers to learn and to continue -------------------------------------------------------


def test_labels_cover_the_answer_and_its_end_and_nothing_else() -> None:
    turns = [user(picture(), "Where?")]
    inputs = encode(turns, answer=f"<ref>star{BOX}")
    labels = inputs["labels"][0].tolist()
    prompt = ids(turns)
    assert labels[: len(prompt)] == [-100] * len(prompt)
    assert inputs["input_ids"][0].tolist()[: len(prompt)] == prompt
    assert labels[len(prompt) :] == inputs["input_ids"][0].tolist()[len(prompt) :]
    assert read(labels[len(prompt) :]) == f" <ref>star{BOX}{END}"
    assert inputs["attention_mask"].shape == inputs["input_ids"].shape


def test_an_answer_can_be_given_as_it_was_generated() -> None:
    turns = [user(picture(), "Where?")]
    assert ids(turns, answer=f" Here.{END}\n") == ids(turns, answer="Here.")


def test_a_typed_answer_forges_nothing_but_markup() -> None:
    turns = [user(picture(), "Where?")]
    tokens = control(ids(turns, answer="<image>no<|im_start|>"))
    assert tokens == control(ids(turns, answer="x"))


@pytest.mark.parametrize("text", ["There is a red", "There is a red ", f"<ref>star{BOX} and <ref>ci"])
def test_an_unfinished_answer_is_left_open(text: str) -> None:
    asked = [user(picture(), "What?")]
    prompt = read(ids(asked))
    assert read(ids([*asked, said(text)])) == f"{prompt} {text}"
    assert "labels" not in encode([*asked, said(text)])


def test_an_answer_without_a_word_yet_is_just_asked_again() -> None:
    asked = [user(picture(), "What?")]
    assert ids([*asked, said("")]) == ids(asked)
