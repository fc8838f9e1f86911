"""Text as it can be kept."""

from __future__ import annotations


def writable(text: str) -> str:
    """The text with '?' for halves of characters (lone surrogates), which cannot be written anywhere."""
    return text.encode("utf-8", "replace").decode("utf-8")
