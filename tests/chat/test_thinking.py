"""Thinking is told apart from the answer, while it streams and afterwards."""

from __future__ import annotations

import pytest

from vlm_app.chat import split_thinking


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("", "", ""),
        ("A cat.", "", "A cat."),
        ("<think>\nHm.\n</think>\n\nA cat.", "Hm.", "A cat."),
        ("<think>Hm", "Hm", ""),  # it still thinks
        ("<think>", "", ""),
        ("Hm.\n</think>\n\nA cat.", "Hm.", "A cat."),  # the template wrote the opening mark into the prompt
        ("<think></think>A cat.", "", "A cat."),
        ("The tag <think> is shown.", "", "The tag <think> is shown."),
        ("Use <think> and </think>.", "", "Use <think> and </think>."),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
    ],
)
def test_thinking_and_answer(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)
    assert text.endswith(answer)
