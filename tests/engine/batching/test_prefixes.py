"""A follow-up goes on from what was read before, and is answered as if all of it were read again."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch

from tests.engine.batching.rows import PLENTY, Asked, asked, encoded, tiny
from tests.engine.batching.test_together import TOGETHER
from tests.families import checkpoints
from vlm_app.engine import LoadedModel
from vlm_app.engine.batching import able, prefill, prefixes
from vlm_app.engine.batching.caches import bytes_of
from vlm_app.engine.batching.prefixes import Prefixes
from vlm_app.families.templated import append
from vlm_app.types import Role, Turn

READ_AGAIN = {
    "idefics": "what it looks at beside its text is no part of the cache",
    "mllama": "what it looks at beside its text is no part of the cache",
    "lfm2_vl": "a running state cannot be cut back to an earlier token",
    "paligemma": "every token of its prompt sees those behind it",
}
GOES_ON = [name for name in TOGETHER if name not in READ_AGAIN]


class Chat:
    """A conversation with one model, each turn behind the last one's tokens."""

    def __init__(self, loaded: LoadedModel, number: int, owner: str = "me") -> None:
        self.loaded = loaded
        self.inputs = asked(loaded, number)
        self.number, self.owner = number, owner

    def turn(self, text: str) -> tuple[int, int]:
        """An answer of five tokens, compared with a full prefill; tokens that were known, and all of them."""
        assert self.loaded.decoder is not None
        logits: list[torch.Tensor] = []
        read = prefill.read

        def kept(*args: Any) -> prefill.Begun:
            begun = read(*args)
            logits.append(begun.logits)
            return begun

        with patch.object(prefill, "read", kept):
            row = Asked(self.loaded, dict(self.inputs), 5, visual=self.number, owner=self.owner)
            written = row.written()
        again = Asked(self.loaded, dict(self.inputs), 1, visual=self.number, owner="nobody")
        again.written()
        with torch.inference_mode():
            whole = read(self.loaded, _unsent(self, again), None)
        assert (logits[0] - whole.logits).abs().max() <= 1e-3
        cached, prompt = row.row.cached, row.row.prompt
        append(self.inputs, [*written, *_ids(self.loaded, text)], labelled=False)
        return cached, prompt


def _unsent(chat: Chat, like: Asked) -> Any:
    """A row with the chat's prompt."""
    like.row.inputs = dict(chat.inputs)
    like.row.ids = chat.inputs["input_ids"][0].tolist()
    return like.row


def _ids(loaded: LoadedModel, text: str) -> list[int]:
    ids: list[int] = loaded.processor.tokenizer.encode(text, add_special_tokens=False)
    return ids


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    for name in TOGETHER:
        if tiny.cache_info().currsize and (decoder := tiny(name).decoder):
            decoder.shed()


@pytest.mark.parametrize("name", GOES_ON)
def test_interleaved_conversations_are_answered_as_if_read_whole_at_each_turn(name: str) -> None:
    loaded = tiny(name)
    chats = [Chat(loaded, number, f"owner {number}") for number in (0, 1)]
    seen = [chat.turn(text) for text in (" and where?", " what else?", ".") for chat in chats]
    for first, second, third in (seen[::2], seen[1::2]):
        assert first[0] == 0
        assert second[0] == first[1] + 4 and third[0] == second[1] + 4  # the last token was never read


@pytest.mark.parametrize("name", sorted(READ_AGAIN))
def test_a_family_that_cannot_go_on_reads_all_of_it_again(name: str) -> None:
    loaded = tiny(name)
    assert not able.goes_on(loaded.model)
    chat = Chat(loaded, 0)
    assert [chat.turn(" and?")[0] for _ in range(2)] == [0, 0]


def test_the_same_question_again_reads_one_token() -> None:
    loaded = tiny("qwen2_5_vl")
    written = Asked(loaded, asked(loaded, 0), visual=0).written()
    again = Asked(loaded, asked(loaded, 0), visual=0)
    assert again.written() == written
    assert again.row.cached == again.row.prompt - 1


@pytest.mark.parametrize(
    "changed", [{"owner": "you"}, {"visual": "another image"}, {"visual": (0, "smaller")}], ids=str
)
def test_what_is_somebody_elses_or_looks_different_is_read_again(changed: dict[str, Any]) -> None:
    loaded = tiny("llava")
    Asked(loaded, asked(loaded, 0), visual=0).written()
    other = Asked(loaded, asked(loaded, 0), **({"visual": 0} | changed))
    other.written()
    assert other.row.cached == 0


def test_a_changed_history_is_used_as_far_as_it_is_the_same() -> None:
    loaded = tiny("internvl")
    picture = checkpoints.picture()

    def said(answer: str) -> dict[str, Any]:
        turns = (
            Turn(Role.USER, (picture, "What is it?")),
            Turn(Role.ASSISTANT, (answer,)),
            Turn(Role.USER, ("Why?",)),
        )
        return encoded(loaded, *turns)

    first = Asked(loaded, said("A circle."), visual=0)
    first.written()
    second = Asked(loaded, said("A square."), visual=0)
    told = second.written()
    same = next(
        i for i, pair in enumerate(zip(first.row.ids, second.row.ids, strict=False)) if len(set(pair)) > 1
    )
    assert 0 < second.row.cached == same < second.row.prompt
    assert told == Asked(loaded, said("A square."), visual="elsewhere").written()


def test_a_changed_word_before_the_image_means_reading_the_image_again() -> None:
    loaded = tiny("internvl")
    picture = checkpoints.picture()
    for word in ("First", "Now"):
        row = Asked(loaded, encoded(loaded, Turn(Role.USER, (word, picture, "what?"))), visual=0)
        row.written()
    assert row.row.cached == 0


def test_the_least_recently_used_leaves_when_there_is_no_more_room() -> None:
    loaded = tiny("smolvlm")
    rows = [Asked(loaded, asked(loaded, number), visual=number) for number in range(3)]
    for row in rows:
        row.written()
    assert loaded.decoder is not None and loaded.decoder.prefixes is not None
    one = loaded.decoder.prefixes.bytes // 3
    with patch.object(loaded.decoder.prefixes, "_most", round(2.5 * one)):
        Asked(loaded, asked(loaded, 0), visual=0).written()  # used again: 1 is the oldest now
        assert loaded.decoder.prefixes.count == 2
        again = [Asked(loaded, asked(loaded, number), visual=number) for number in (0, 1)]
        assert [row.written() and row.row.cached > 0 for row in again] == [True, False]


def test_on_a_gpu_what_leaves_it_waits_in_the_computers_own_memory() -> None:
    loaded = tiny("smolvlm")
    rows = [Asked(loaded, asked(loaded, number), visual=number) for number in range(2)]
    written = [row.written() for row in rows]
    assert loaded.decoder is not None
    kept = loaded.decoder.prefixes
    assert kept is not None
    sizes = [bytes_of(entry.kept) for entry in kept._entries]
    beside = Prefixes(kept._placeholders, most=max(sizes), beside=sum(sizes))
    for row, entry in zip(rows, kept._entries, strict=True):
        assert beside.make_room(row.row, bytes_of(entry.kept), PLENTY)
        beside.keep(row.row, entry.kept)
    assert beside.count == 2 and beside.bytes == sizes[1]
    with patch.object(loaded.decoder, "prefixes", beside):
        again = Asked(loaded, asked(loaded, 0), visual=0)
        assert again.written() == written[0] and again.row.cached > 0


def test_nothing_is_kept_where_there_is_no_memory_to_spare() -> None:
    loaded = tiny("smolvlm")
    assert loaded.decoder is not None
    with patch.object(loaded, "spare", lambda: 0), patch.object(loaded.decoder._memory, "_measured", 0.0):
        Asked(loaded, asked(loaded, 0), visual=0).written()
        assert loaded.kept == 0
    loaded.decoder._memory._measured = 0.0


def test_a_stopped_answer_is_gone_on_from_too() -> None:
    loaded = tiny("gemma3")
    row = Asked(loaded, asked(loaded, 0), 400, visual=0)
    row.wait_for(3)
    row.stop.set()
    row.written()
    again = Asked(loaded, asked(loaded, 0), visual=0)
    again.written()
    assert again.row.cached == again.row.prompt - 1


def test_what_somebody_wants_forgotten_is_not_gone_on_from_even_if_it_was_under_way() -> None:
    loaded = tiny("qwen2_vl")
    Asked(loaded, asked(loaded, 0), owner="me").written()
    other = Asked(loaded, asked(loaded, 0), owner="you")
    other.written()
    running = Asked(loaded, asked(loaded, 1), 400, owner="me")
    running.wait_for(2)
    loaded.forget("me")
    running.stop.set()
    running.written()
    again = [Asked(loaded, asked(loaded, number), owner="me") for number in (0, 1)]
    yours = Asked(loaded, asked(loaded, 0), owner="you")
    assert [row.written() and row.row.cached for row in again] == [0, 0]
    assert yours.written() == other.written() and yours.row.cached > 0


def test_what_leaves_the_device_while_its_owner_is_forgotten_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = tiny("qwen2_vl")
    assert loaded.decoder is not None and loaded.decoder.prefixes is not None
    loaded.decoder.prefixes.clear()
    mine = Asked(loaded, asked(loaded, 0), owner="me")
    mine.written()
    (entry,) = loaded.decoder.prefixes._entries
    beside = Prefixes(frozenset(), entry.bytes, 4 * entry.bytes)
    beside.keep(mine.row, entry.kept)
    moved = prefixes._moved

    def interrupted(prefix: Any) -> Any:
        beside.forget("me")
        return moved(prefix)

    monkeypatch.setattr(prefixes, "_moved", interrupted)
    other = Asked(loaded, asked(loaded, 1), owner="you")
    assert beside.make_room(other.row, entry.bytes, 0)
    assert beside.count == 0
