"""Text that grows token by token is the text of all tokens."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny import pebble_processor
from vlm_app.engine.generation import Detokenizer


@settings(deadline=None)
@given(st.text(), st.lists(st.integers(1, 3), max_size=40))
def test_any_text_arrives_whole_in_whole_characters(text: str, strides: list[int]) -> None:
    tokenizer = pebble_processor().tokenizer
    ids = tokenizer.encode(text, add_special_tokens=False)
    growing = Detokenizer(tokenizer)
    pieces = []
    for stride in [*strides, *[1] * len(ids)]:
        pieces.append(growing.add(ids[:stride]))
        ids = ids[stride:]
    pieces.append(growing.add([], last=True))
    assert "".join(pieces) == text
    if "\ufffd" not in text:
        assert "\ufffd" not in "".join(pieces)


@settings(deadline=None)
@given(st.lists(st.integers(0, 600), max_size=60))
def test_tokens_that_make_no_characters_do_not_stop_the_stream(ids: list[int]) -> None:
    growing = Detokenizer(pebble_processor().tokenizer)
    held = 0
    for token in ids:
        held = 0 if growing.add([token]) else held + 1
        assert held <= 8
    growing.add([], last=True)
