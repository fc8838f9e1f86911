"""Packed rows are the chat template's own tokens, and dialogues in them cannot see each other."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from transformers import SmolVLMProcessor

from vlm_app.pebble.batches import GRID, IGNORED, LENGTH, UNDER, Batches, Packer, collate, dense_truth, pixels
from vlm_app.pebble.odds import HARD_LESSONS
from vlm_app.pebble.processor import SHUFFLE, build_processor
from vlm_app.pebble.questions import Dialogue
from vlm_app.pebble.words import CHARACTERS
from vlm_app.pebble.world import draw_scene


@cache
def processor() -> SmolVLMProcessor:
    return build_processor()


TALK = Dialogue(
    "follow_up",
    (("Is there a circle?", "Yes."), ("Where is it?", "<ref>red circle<loc_1><loc_2><loc_30><loc_40>")),
)


def test_a_packed_dialogue_has_the_tokens_of_the_chat_template() -> None:
    scene = draw_scene(0)
    messages = [
        {
            "role": "user",
            "content": [{"type": "image", "image": scene.image}, {"type": "text", "text": TALK.turns[0][0]}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": TALK.turns[0][1]}]},
        {"role": "user", "content": [{"type": "text", "text": TALK.turns[1][0]}]},
        {"role": "assistant", "content": [{"type": "text", "text": TALK.turns[1][1]}]},
    ]
    rendered = processor().apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
    row = Packer(processor().tokenizer).pack(iter([TALK]), None, conversation=False)
    assert row.ids == rendered["input_ids"][0].tolist()
    assert row.positions == list(range(len(row.ids)))


def test_only_answers_carry_loss_and_short_ones_weigh_more_a_token() -> None:
    row = Packer(processor().tokenizer).pack(iter([TALK]), None, conversation=False)
    learned = processor().tokenizer.decode([label for label in row.labels if label != IGNORED])
    assert (
        learned == " Yes.<end_of_utterance> <ref>red circle<loc_1><loc_2><loc_30><loc_40><end_of_utterance>"
    )
    weights = [weight for weight in row.weights if weight]
    assert weights[0] > weights[-1]


def test_a_branch_sees_the_image_and_itself_only() -> None:
    other = Dialogue("existence", (("Is there a star?", "No."),))
    row = Packer(processor().tokenizer).pack(iter([TALK, other]), None, conversation=False)
    trunk, second = row.branch.count(0), row.branch.index(2)
    mask = collate([row])["mask"][0, 0]
    assert row.positions[second] == trunk == row.positions[row.branch.index(1)]
    assert mask[second, :trunk].all() and not mask[second, trunk:second].any()
    assert mask[-1, :trunk].all() and not torch.triu(mask, diagonal=1).any()


def test_a_packed_conversation_has_the_tokens_of_the_chat_template() -> None:
    first, second = (Dialogue("any", (turn,)) for turn in TALK.turns)
    packer = Packer(processor().tokenizer)
    apart = packer.pack(iter([first, second]), None, conversation=True)
    assert apart.ids == packer.pack(iter([TALK]), None, conversation=False).ids


def test_a_conversation_sees_its_earlier_turns() -> None:
    other = Dialogue("existence", (("Is there a star?", "No."),))
    row = Packer(processor().tokenizer).pack(iter([TALK, other]), TALK, conversation=True)
    mask = collate([row])["mask"][0, 0]
    assert row.positions == list(range(len(row.ids)))
    assert torch.equal(
        mask[: len(row.ids), : len(row.ids)], torch.ones(len(row.ids), len(row.ids)).tril() > 0
    )
    assert row.ids.count(processor().image_token_id) == 2 * 64


def test_batches_have_the_same_shapes_and_go_on_where_they_stopped() -> None:
    data = Batches(processor().tokenizer, size=16, first=0, stream=5, questions=10)
    one, two = data.batch(0), data.batch(16)
    assert {key: value.shape for key, value in one.items()} == {
        key: value.shape for key, value in two.items()
    }
    assert one["ids"].shape == (16, LENGTH) and one["pixels"].shape == (17, 3, 256, 256)
    again = next(iter(Batches(processor().tokenizer, size=16, first=16, stream=5, questions=10)))
    assert torch.equal(again["ids"], two["ids"])


def test_pixels_are_what_the_processor_gives_the_encoder() -> None:
    scene = draw_scene(3, size=(512, 384))
    given = processor().image_processor(images=[scene.image], return_tensors="np")["pixel_values"][0, 0]
    assert np.abs(pixels(scene.image) - given).mean() < 0.02


@pytest.mark.parametrize("kind", ["shapes", "signs", "chart"])
def test_dense_truth_names_what_lies_under_a_patch(kind: str) -> None:
    for seed in range(20):
        scene = draw_scene(seed, kind=kind)
        truth = dense_truth(scene)
        assert truth["kind"].shape == (GRID * GRID,) and truth["box"].shape == (GRID * GRID, 4)
        for thing in scene.things:
            if thing.shape in ("circle", "hexagon") and thing.extent > 0.3:
                column, row = (int(v * GRID) for v in thing.centre)
                assert UNDER[truth["kind"][row * GRID + column]] == thing.shape
        printed = {letter for sign in scene.signs for letter in sign.text if letter in CHARACTERS}
        if printed:
            seen = {CHARACTERS[n - 1] for n in np.unique(truth["letters"]) if n}
            assert len(seen & printed) / len(printed) > 0.7


def test_the_spelling_of_a_sign_is_its_text() -> None:
    """Each letter once and in order, however broad: a broad one lies under several patches."""
    signs = read = 0
    for seed in range(40):
        scene = draw_scene(seed, kind="signs", odds=HARD_LESSONS)
        side = GRID // SHUFFLE
        slots = dense_truth(scene)["spelling"].reshape(side, side, SHUFFLE, SHUFFLE, 2)
        lines = slots.transpose(0, 2, 1, 3, 4).reshape(GRID, 2 * GRID)
        spelled = ["".join(CHARACTERS[n - 1] for n in line if n) for line in lines]
        signs += len(scene.signs)
        read += sum(any(sign.text.replace(" ", "") in line for line in spelled) for sign in scene.signs)
    assert signs > 60 and read > 0.9 * signs
