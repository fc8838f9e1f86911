"""Training batches: several dialogues packed beside one image, and dense truth for the encoder.

A packed row is a trunk (the image, at times an earlier image with a turn about it) and
branches: dialogues that see the trunk and themselves but not each other, so the work of
the encoder is shared and no answer can be copied from another. In every fifth row the
dialogues are one conversation instead, each turn seeing the earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.utils.data import IterableDataset

from vlm_app.pebble.markup import BINS, LOCATIONS
from vlm_app.pebble.odds import HARD_LESSONS, LESSONS
from vlm_app.pebble.processor import END, IMAGE, IMAGE_TOKENS, PATCH, SHUFFLE, SIDE
from vlm_app.pebble.questions import Dialogue, about, dialogues
from vlm_app.pebble.shapes import SHAPES
from vlm_app.pebble.signs import Box
from vlm_app.pebble.words import CHARACTERS, COLOURS
from vlm_app.pebble.world import Scene, draw_scene

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IGNORED = -100
GRID = SIDE // PATCH
SLOTS = 2 * SHUFFLE * SHUFFLE  # letters that a visual token can hold: two for each of its patches
UNDER = ("ground", *SHAPES, "text", "bar")  # what can lie under a patch
_HUES = ("none", *COLOURS)
LENGTH = 320  # tokens of a packed row; dialogues are added as long as they fit
_EARLIER_EACH = 16  # one row of so many has an earlier image: every batch has the same shapes
_HARD = 0.5  # of the lessons
_FINE = 4  # cells of the id map per patch and direction
Batch = dict[str, torch.Tensor]


@dataclass
class Row:
    """Tokens of one packed row. `branch` is 0 in the trunk, then 1, 2, ... for each branch."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    branch: list[int] = field(default_factory=list)

    def extend(self, ids: list[int], branch: int, start: int, *, answer: bool = False) -> int:
        """Append tokens at positions from `start`; returns the position after them."""
        self.ids += ids
        self.labels += ids if answer else [IGNORED] * len(ids)
        # A short answer's one telling token must not drown among the tokens of long lists.
        self.weights += [len(ids) ** -0.5 if answer else 0.0] * len(ids)
        self.positions += range(start, start + len(ids))
        self.branch += [branch] * len(ids)
        return start + len(ids)


class Packer:
    """Turns scenes and dialogues into rows, with the text exactly as the chat template writes it."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self._image = self._encode(
            f"<fake_token_around_image><global-img>{IMAGE * IMAGE_TOKENS}<fake_token_around_image>"
        )

    def _encode(self, text: str) -> list[int]:
        if text not in self._known:
            if len(self._known) > 50_000:
                self._known.clear()
            self._known[text] = self._tokenizer.encode(text, add_special_tokens=False)
        return self._known[text]

    def pack(self, talks: Iterator[Dialogue], earlier: Dialogue | None, conversation: bool) -> Row:
        """One row of at most `LENGTH` tokens; `earlier` is a dialogue about an image before this one."""
        row = Row()
        end = row.extend(self._encode("<|im_start|>User:"), 0, 0)
        if earlier is not None:
            end = row.extend(self._image, 0, end)
            end = self._turns(row, earlier, 0, end)
            end = row.extend(self._encode("User:"), 0, end)
        trunk = row.extend(self._image, 0, end)
        end = trunk
        for number, talk in enumerate(talks, start=1):
            if len(row.ids) + self._size(talk) > LENGTH:
                continue
            if conversation:
                end = self._turns(row, talk, 1, end, later=end > trunk)
            else:
                self._turns(row, talk, number, trunk)
        return row

    def short(self, talks: Iterator[Dialogue]) -> Dialogue | None:
        """The first that leaves most of a row to others."""
        return next((talk for talk in talks if self._size(talk) <= LENGTH // 4), None)

    def _size(self, talk: Dialogue) -> int:
        """An upper bound of the tokens of its turns."""
        return sum(
            len(self._encode(question)) + len(self._encode(answer)) + 10 for question, answer in talk.turns
        )

    def _turns(self, row: Row, talk: Dialogue, branch: int, end: int, later: bool = False) -> int:
        for number, (question, answer) in enumerate(talk.turns):
            lead = "User: " if number or later else ""
            end = row.extend(self._encode(f"{lead}{question}{END}\nAssistant:"), branch, end)
            end = row.extend(self._encode(f" {answer}{END}"), branch, end, answer=True)
            end = row.extend(self._encode("\n"), branch, end)
        return end


# --- dense truth -------------------------------------------------------------------------


def dense_truth(scene: Scene) -> dict[str, np.ndarray]:
    """What lies under each patch: `kind` and `hue` (cells), `box` (cells, 4), `letters` (cells, 2).

    And `spelling` (visual tokens, slots): each letter once, where its middle is.
    """
    kinds, hues, boxes = [0], [0], [(0.0, 0.0, 0.0, 0.0)]
    fine = Image.new("L", (GRID * _FINE, GRID * _FINE), 0)
    draw = ImageDraw.Draw(fine)
    for thing in scene.things:
        draw.polygon([tuple(p) for p in thing.silhouette * fine.size], fill=len(kinds))
        kinds.append(UNDER.index(thing.shape))
        hues.append(_HUES.index(thing.colour))
        boxes.append(thing.box)
    flat = [("text", "none", sign.box) for sign in scene.signs]
    flat += [("bar", bar.colour, bar.box) for bar in scene.chart.bars] if scene.chart else []
    for kind, colour, box in flat:
        draw.rectangle([v * GRID * _FINE for v in box], fill=len(kinds))
        kinds.append(UNDER.index(kind))
        hues.append(_HUES.index(colour))
        boxes.append(box)
    owner = _owners(np.asarray(fine), len(kinds))
    letters = (
        *(letter for sign in scene.signs for letter in sign.letters),
        *(scene.chart.letters if scene.chart else ()),
    )
    return {
        "kind": np.array(kinds)[owner],
        "hue": np.array(hues)[owner],
        "box": np.array(boxes, dtype=np.float32)[owner],
        "letters": _letters(letters),
        "spelling": _blocks(_middles(letters)).reshape(-1, SLOTS),
    }


def _owners(fine: np.ndarray, number: int) -> np.ndarray:
    """For each patch the thing that covers most of it, where that is a fifth at least; else 0."""
    blocks = fine.reshape(GRID, _FINE, GRID, _FINE).transpose(0, 2, 1, 3).reshape(GRID * GRID, -1)
    cover = (blocks[:, :, None] == np.arange(1, max(2, number))).mean(axis=1)
    return np.where(cover.max(axis=1) >= 0.2, cover.argmax(axis=1) + 1, 0)


def _letters(letters: Sequence[tuple[str, Box]]) -> np.ndarray:
    """The letter at a quarter and at three quarters of each patch's width; 0 is none."""
    fine = Image.new("L", (2 * GRID, 2 * GRID), 0)
    draw = ImageDraw.Draw(fine)
    for letter, box in letters:
        if letter in CHARACTERS:
            x0, y0, x1, y1 = (v * 2 * GRID - 0.5 for v in box)
            draw.rectangle(
                (round(x0), round(y0), max(round(x0), round(x1) - 1), round(y1)),
                fill=1 + CHARACTERS.index(letter),
            )
    cells = np.asarray(fine).reshape(GRID, 2, GRID, 2).transpose(0, 2, 1, 3).reshape(GRID * GRID, 2, 2)
    return np.where(cells[:, 0] > 0, cells[:, 0], cells[:, 1]).astype(np.int64)


def _middles(letters: Sequence[tuple[str, Box]]) -> np.ndarray:
    """Two slots for each patch, (patches, 2), with the letters whose middle is there; 0 is none.

    What is read in the order of the slots is the text: a broad letter stands there once, and
    of two that meet in a slot the later one takes the next.
    """
    slots = np.zeros((GRID, 2 * GRID), dtype=np.int64)
    for letter, (x0, y0, x1, y1) in letters:
        if letter in CHARACTERS:
            row = min(GRID - 1, int((y0 + y1) / 2 * GRID))
            column = min(2 * GRID - 1, int((x0 + x1) / 2 * 2 * GRID))
            if slots[row, column] and column + 1 < 2 * GRID:
                column += 1
            slots[row, column] = 1 + CHARACTERS.index(letter)
    return slots.reshape(GRID * GRID, 2)


class Lens:
    """The words that the answers about each visual token would use.

    A visual token is a block of patches. Its thing gives the shape, the colour (alone and
    within a sentence) and four locations; letters under it give themselves.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        def last(text: str) -> int:
            return int(tokenizer.encode(text, add_special_tokens=False)[-1])

        self._kinds = np.array([-1, *(last(f"red {shape}") for shape in SHAPES), -1, -1])
        self._hues = np.array(
            [[-1, *(last(hue) for hue in COLOURS)], [-1, *(last(f"a {hue}") for hue in COLOURS)]]
        )
        self._letters = np.array([-1, *(last(letter) for letter in CHARACTERS)])
        self._first = last(LOCATIONS[0])

    def tokens(self, truth: dict[str, np.ndarray]) -> np.ndarray:
        """Token ids (visual tokens, 15); -1 where there are fewer."""
        kind, hue = _blocks(truth["kind"]), _blocks(truth["hue"])
        owner = (kind > 0).argmax(axis=1)[:, None]
        kind, hue = np.take_along_axis(kind, owner, 1), np.take_along_axis(hue, owner, 1)
        box = np.take_along_axis(_blocks(truth["box"]), owner[..., None], 1)[:, 0]
        places = np.where(kind > 0, self._first + np.clip(box * BINS, 0, BINS - 1).astype(int), -1)
        letters = self._letters[_blocks(truth["letters"]).reshape(len(kind), -1)]
        words = [self._kinds[kind], self._hues[0][hue], self._hues[1][hue], places, letters]
        return np.concatenate(words, axis=1).astype(np.int64)


def _blocks(cells: np.ndarray) -> np.ndarray:
    """Per-patch values (patches, ...) by visual token: (visual tokens, patches of one, ...)."""
    side = GRID // SHUFFLE
    parts = cells.reshape(side, SHUFFLE, side, SHUFFLE, *cells.shape[1:])
    return parts.swapaxes(1, 2).reshape(side * side, SHUFFLE * SHUFFLE, *cells.shape[1:])


# --- batches -----------------------------------------------------------------------------


def pixels(image: Image.Image) -> np.ndarray:
    """As the processor gives it to the encoder: (3, side, side), floats from -1 to 1."""
    square = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1


class Batches(IterableDataset):
    """Batches without end, from scene `first` on; `stream` tells training from held-out seeds."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, size: int, first: int, stream: int, questions: int
    ) -> None:
        self._packer, self._lens = Packer(tokenizer), Lens(tokenizer)
        self._size, self._first, self._stream, self._questions = size, first, stream, questions

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        lane, lanes = (worker.id, worker.num_workers) if worker else (0, 1)
        start = self._first + lane * self._size
        while True:
            yield self.batch(start)
            start += lanes * self._size

    def batch(self, start: int) -> Batch:
        """The batch of scenes `start` to `start + size`."""
        rows: list[Row] = []
        images: list[np.ndarray] = []
        truths: list[dict[str, np.ndarray]] = []
        for number in range(start, start + self._size):
            rng = np.random.default_rng([self._stream, number])
            scene = draw_scene(rng, odds=HARD_LESSONS if rng.random() < _HARD else LESSONS)
            earlier = None
            if number % _EARLIER_EACH == 0:
                before = draw_scene(rng)
                earlier = self._packer.short(dialogues(rng, before, 4)) or about(rng, before)
                images.append(pixels(before.image))
                truths.append(dense_truth(before))
            conversation = rng.random() < 0.2
            rows.append(self._packer.pack(dialogues(rng, scene, self._questions), earlier, conversation))
            images.append(pixels(scene.image))
            truths.append(dense_truth(scene))
        batch = collate(rows)
        batch["pixels"] = torch.from_numpy(np.stack(images))
        batch["lens"] = torch.from_numpy(np.stack([self._lens.tokens(truth) for truth in truths]))
        for key in truths[0]:
            batch[key] = torch.from_numpy(np.stack([truth[key] for truth in truths]))
        return batch


def collate(rows: list[Row]) -> Batch:
    """Pad on the right: ids, labels, weights, positions (rows, LENGTH), mask (rows, 1, LENGTH, LENGTH)."""

    def stack(values: list[list[Any]], fill: float, kind: type) -> np.ndarray:
        out: np.ndarray = np.full((len(rows), LENGTH), fill, dtype=kind)
        for line, value in zip(out, values, strict=True):
            line[: len(value)] = value
        return out

    branch = stack([row.branch for row in rows], -1, np.int64)
    earlier = np.tril(np.ones((LENGTH, LENGTH), dtype=bool))
    same = (branch[:, None, :] == branch[:, :, None]) | (branch[:, None, :] == 0)
    return {
        "ids": torch.from_numpy(stack([row.ids for row in rows], 0, np.int64)),
        "labels": torch.from_numpy(stack([row.labels for row in rows], IGNORED, np.int64)),
        "weights": torch.from_numpy(stack([row.weights for row in rows], 0, np.float32)),
        "positions": torch.from_numpy(stack([row.positions for row in rows], 0, np.int64)),
        "mask": torch.from_numpy((same & earlier)[:, None]),
    }
