"""The part of an answer in which a model thinks aloud."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer) of a text in the form `<think>…</think>answer`, both possibly empty.

    The opening mark may be missing (some chat templates write it into the prompt), the closing
    one too while the model still thinks. The answer is always an end of `text`: a region's span
    lies `len(text) - len(answer)` characters earlier in it.
    """
    opened = text.lstrip().startswith(_OPEN)
    thinking, closed, answer = text.partition(_CLOSE)
    if not opened and (not closed or _OPEN in thinking):
        return "", text
    return thinking.strip().removeprefix(_OPEN).strip(), answer.lstrip()
