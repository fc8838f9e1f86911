"""How Pebble's answers are scored against the truth of a scene.

Each skill counts answers that are right as a whole, out of a number asked. Where an answer
lists things, what it lists is matched with what is true, over all scenes together (micro F1):
boxes at an intersection over union (IoU) of 0.5 or more with the same label, of which the IoU
is kept; points with the things that they lie in; words with the same words.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from vlm_app.pebble.markup import read_regions

Coordinates = tuple[float, ...]
_LAST_WORD = {"existence", "colour", "shape", "size", "relation", "count"}  # it decides
_BOXES = {"detect", "detect_all", "ground", "ocr_regions", "foreign"}


@dataclass
class Tally:
    """What one skill has scored so far."""

    asked: int = 0
    right: int = 0
    found: int = 0
    true: int = 0
    matched: int = 0
    overlaps: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        return self.right / max(1, self.asked)

    @property
    def f1(self) -> float:
        return 2 * self.matched / max(1, self.found + self.true)

    @property
    def mean_iou(self) -> float:
        return sum(self.overlaps) / max(1, len(self.overlaps))

    def add(self, skill: str, answer: str, truth: str, slack: float = 0.0) -> None:
        """Score one answer: as boxes, as points, as a number that may be off by `slack`, or word for word."""
        self.asked += 1
        if skill in _BOXES:
            self._add_boxes(read_regions(answer), read_regions(truth))
        elif skill == "point":
            self._add_points(read_regions(answer), read_regions(truth))
        elif slack:
            self.right += abs(_number(answer) - _number(truth)) <= slack
        elif skill in _LAST_WORD:
            self.right += _plain(answer).split(" ")[-1] == _plain(truth).split(" ")[-1]
        else:
            self.right += _plain(answer) == _plain(truth)
            self._add_words(_plain(answer), _plain(truth))

    def _add_boxes(self, found: list[tuple[str, Coordinates]], true: list[tuple[str, Coordinates]]) -> None:
        found = [(label, c) for label, c in found if len(c) == 4]
        self.found += len(found)
        self.true += len(true)
        pairs = sorted(
            ((iou(a, b), i, j) for i, (p, a) in enumerate(found) for j, (q, b) in enumerate(true) if p == q),
            reverse=True,
        )
        used_found: set[int] = set()
        used_true: set[int] = set()
        for overlap, i, j in pairs:
            if overlap >= 0.5 and i not in used_found and j not in used_true:
                used_found.add(i)
                used_true.add(j)
                self.overlaps.append(overlap)
        self.matched += len(used_true)
        self.right += len(found) == len(true) == len(used_true)

    def _add_points(self, found: list[tuple[str, Coordinates]], boxes: list[tuple[str, Coordinates]]) -> None:
        """A point is matched with one box around it; a box has one point."""
        left = list(boxes)
        for _, place in found:
            around = next((box for box in left if len(place) == 2 and _inside(place, box[1])), None)
            if around is not None:
                left.remove(around)
        matched = len(boxes) - len(left)
        self.found += len(found)
        self.true += len(boxes)
        self.matched += matched
        self.right += len(found) == len(boxes) == matched

    def _add_words(self, answer: str, truth: str) -> None:
        found, true = Counter(answer.split()), Counter(truth.split())
        self.found += found.total()
        self.true += true.total()
        self.matched += (found & true).total()


def iou(a: Coordinates, b: Coordinates) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _inside(place: Coordinates, box: Coordinates) -> bool:
    return box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3]


def _number(text: str) -> float:
    """The number that the text ends with, or not-a-number."""
    last = _plain(text).rpartition(" ")[2]
    return float(last) if last.isdigit() else float("nan")


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .").lower()
