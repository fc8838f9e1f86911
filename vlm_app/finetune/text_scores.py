"""Comparing texts: whether they say the same, and by how many letters they differ."""

from __future__ import annotations

import numpy as np


def same(found: str, truth: str) -> bool:
    """Whether two answers are the same but for case, white space and a stop at the end."""
    return _folded(found) == _folded(truth)


def similarity(found: str, truth: str) -> float:
    """1 − edits / letters of the longer text: 1 for the same text, 0 where nothing is alike."""
    found, truth = line(found), line(truth)
    longest = max(len(found), len(truth))
    return 1 - edits(found, truth) / longest if longest else 1.0


def edits(found: str, truth: str) -> int:
    """The Levenshtein distance: the fewest letters to insert, delete or replace."""
    if len(found) < len(truth):
        found, truth = truth, found
    if not truth:
        return len(found)
    across = np.arange(len(found) + 1)
    letters = np.array([ord(letter) for letter in found])
    row = across.copy()
    for count, letter in enumerate(truth, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (letters != ord(letter)))
        costs = np.concatenate(([count], best)) - across
        row = np.minimum.accumulate(costs) + across  # and letters that are inserted, all at once
    return int(row[-1])


def line(text: str) -> str:
    """The text with single spaces and without those at its ends."""
    return " ".join(text.split())


def _folded(text: str) -> str:
    return line(text).casefold().rstrip(".!").rstrip()
