"""Silhouettes of the toy world's shapes, as polygons around the origin with radius 1.

y grows downwards, as in images. A ring has a hole: `hole` gives its outline.
"""

from __future__ import annotations

import numpy as np

Outline = np.ndarray  # (points, 2), float

SHAPES = ("circle", "square", "triangle", "star", "hexagon", "diamond", "cross", "ring", "crescent")


def regular(corners: int, turn: float = 0.0) -> Outline:
    """A regular polygon whose first corner points up, turned by `turn` radians."""
    angles = turn - np.pi / 2 + 2 * np.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star() -> Outline:
    points = regular(10)
    points[1::2] *= 0.42
    return points


def _cross() -> Outline:
    arm = 0.32
    corner = [(arm, -1), (arm, -arm), (1, -arm)]
    quarter = np.array(corner)
    turns = [np.array([[0, 1], [-1, 0]]), np.array([[-1, 0], [0, -1]]), np.array([[0, -1], [1, 0]])]
    return np.concatenate([quarter, *(quarter @ turn for turn in turns)])


def _crescent() -> Outline:
    outer = np.linspace(-0.72 * np.pi, 0.72 * np.pi, 28) + np.pi
    points = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    tip_x, tip_y = points[-1]
    centre = 0.62
    radius = np.hypot(tip_x - centre, tip_y)
    angle = np.arctan2(tip_y, tip_x - centre)
    inner = np.linspace(angle, 2 * np.pi - angle if angle > 0 else -2 * np.pi - angle, 24)
    return np.concatenate(
        [points, np.stack([centre + radius * np.cos(inner), radius * np.sin(inner)], axis=1)]
    )


_OUTLINES = {
    "circle": regular(40),
    "square": np.array([(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]),
    "triangle": regular(3),
    "star": _star(),
    "hexagon": regular(6, np.pi / 6),
    "diamond": np.array([(0, -1), (0.66, 0), (0, 1), (-0.66, 0)]),
    "cross": _cross(),
    "ring": regular(40),
    "crescent": _crescent(),
}
_HOLE = 0.55 * regular(40)


def outline(shape: str, turn: float = 0.0) -> Outline:
    """The outer edge of `shape`, turned by `turn` radians: (points, 2)."""
    cos, sin = np.cos(turn), np.sin(turn)
    turned: Outline = _OUTLINES[shape] @ np.array([[cos, sin], [-sin, cos]])
    return turned


def hole(shape: str) -> Outline | None:
    """The inner edge of a ring; None for everything else."""
    return _HOLE if shape == "ring" else None
