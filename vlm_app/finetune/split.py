"""Which examples are learned from, and which are held out to see whether it helped.

By image: all examples of a picture, and of pictures that look the same, are on one side, or the score
would praise what was learned by heart. Groups of such pictures are taken in the order of a hash of
their own, so that an example that is added later leaves nearly all others where they were.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from vlm_app.finetune.counting import count_of
from vlm_app.finetune.examples import Example
from vlm_app.finetune.likeness import MOST_BITS, likeness
from vlm_app.types import Picture, Task

Stratum = tuple[Task, str]  # a task and a label; '' for all of the task
_SHORT = 24  # characters: a shorter answer in words is a class


@dataclass(frozen=True, slots=True)
class Split:
    """The two sides, each in the order of the dataset, and what was done, in a sentence."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    sentence: str


def split(examples: Sequence[Example], share: float, seed: int = 0, taught: Collection[str] = ()) -> Split:
    """Hold out a share (0 to 1) of the examples, of each task and label as far as whole images allow.

    The same examples, share and seed give the same split, in whatever order they come. Where there
    are pictures of two kinds or more and a share is asked for, neither side is empty. Pictures of the
    hashes in `taught`, and what looks like them, are never held out.
    """
    groups = _groups(examples, seed, taught)
    chosen = _chosen(groups, share) if share > 0 and len(groups) > 1 else set[int]()
    held = {place for index in chosen for place in groups[index].places}
    train = tuple(one for place, one in enumerate(examples) if place not in held)
    held_out = tuple(one for place, one in enumerate(examples) if place in held)
    return Split(train, held_out, _sentence(groups, chosen, len(examples), share))


def labels(example: Example) -> tuple[str, ...]:
    """The labels of an example: of its regions, the number it counts, or its answer if that is short."""
    if example.text is None:  # a wrong answer alone does not say that there is nothing
        return ()
    if example.task is Task.COUNT:
        said = count_of(example.text, example.regions)
        return () if said is None else (str(said),)
    if example.task in (Task.OCR, Task.OCR_REGIONS):  # what is read is no class
        return ()
    named = dict.fromkeys(" ".join(one.label.casefold().split()) for one in example.regions)
    if named:
        return tuple(named)
    words = " ".join(example.text.casefold().split()).rstrip(".")
    return (words or "nothing",) if len(words) <= _SHORT else ()


# --- groups of pictures -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """Examples that stay together, by their places; `pictures` and how many of them only look alike.

    `taught`: whether a model that the run goes on from knows one of them.
    """

    places: tuple[int, ...]
    strata: Mapping[Stratum, int]
    pictures: int
    lookalikes: int
    order: str
    taught: bool

    @cached_property
    def size(self) -> int:
        return len(self.places)


def _groups(examples: Sequence[Example], seed: int, taught: Collection[str]) -> list[_Group]:
    """All groups, in the order of their hashes."""
    pictures = {one.sha256: one for example in examples for one in example.pictures}
    joined = _Joined(pictures)
    for example in examples:
        for one in example.pictures:
            joined.join(example.pictures[0].sha256, one.sha256)
    exact = len({joined.of(name) for name in pictures})
    kin = {name: joined.of(name) for name in pictures} if exact else {}
    _join_lookalikes(joined, pictures)
    members = defaultdict[str, list[int]](list)
    for place, example in enumerate(examples):
        members[joined.of(example.pictures[0].sha256)].append(place)
    names = defaultdict[str, list[str]](list)
    for name in pictures:
        names[joined.of(name)].append(name)
    made = []
    for name, places in members.items():
        strata = Counter(stratum for place in places for stratum in _strata(examples[place]))
        own = names[name]
        lookalikes = len({kin[each] for each in own}) - 1
        order = hashlib.sha256(f"{seed} {min(own)}".encode()).hexdigest()
        known = any(each in taught for each in own)
        made.append(_Group(tuple(places), strata, len(own), lookalikes, order, known))
    return sorted(made, key=lambda group: group.order)


def _strata(example: Example) -> tuple[Stratum, ...]:
    return ((example.task, ""), *((example.task, label) for label in labels(example)))


def _join_lookalikes(joined: _Joined, pictures: Mapping[str, Picture]) -> None:
    import numpy as np

    names = sorted(pictures)
    looks = np.array([likeness(pictures[name]) for name in names], dtype=np.uint64)
    rest, hashes = np.arange(len(names)), looks  # nobody's yet
    asking = list[int]()  # of a group: those that still look for their like
    while len(rest) or asking:
        if not asking:
            asking, rest, hashes = [int(rest[0])], rest[1:], hashes[1:]
        place = asking.pop()
        near = np.bitwise_count(hashes ^ looks[place]) <= MOST_BITS
        if near.any():  # each picture is found once, so that thousands that look alike are soon joined
            for other in rest[near].tolist():
                joined.join(names[place], names[other])
                asking.append(other)
            rest, hashes = rest[~near], hashes[~near]


class _Joined:
    """Names that belong together (union-find)."""

    def __init__(self, names: Mapping[str, Picture]) -> None:
        self._parents = {name: name for name in names}

    def of(self, name: str) -> str:
        """The name that stands for all that belong to it."""
        while (parent := self._parents[name]) != name:
            self._parents[name] = self._parents[parent]
            name = parent
        return name

    def join(self, one: str, other: str) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._parents[second] = first


# --- choosing ---------------------------------------------------------------------------------


def _chosen(groups: Sequence[_Group], share: float) -> set[int]:
    """The groups that are held out: at least one unless all were taught, and never all of them."""
    picking = _Picking(groups, share)
    tasks = sorted((stratum for stratum in picking.homes if not stratum[1]), key=picking.rarity)
    for whole in tasks:
        named = [one for one in picking.homes if one[0] is whole[0] and one[1]]
        # Labels that are owed a whole example come first, the rarest before the others.
        for stratum in sorted(named, key=lambda one: (picking.owed(one) < 1, *picking.rarity(one))):
            picking.fill(stratum, whole)
        picking.fill(whole, whole)
        picking.fill(whole, whole, sparing=False)
    free = [index for index, group in enumerate(groups) if not group.taught]
    if free and not picking.chosen:
        picking.chosen.add(min(free, key=lambda index: (groups[index].size, groups[index].order)))
    return picking.chosen


class _Picking:
    """Takes groups until each stratum has its share."""

    def __init__(self, groups: Sequence[_Group], share: float) -> None:
        self._groups = groups
        self._share = share
        self.chosen = set[int]()
        self._held = Counter[Stratum]()
        self._totals = Counter[Stratum]()
        self.homes = defaultdict[Stratum, list[int]](list)
        for index, group in enumerate(groups):
            self._totals.update(group.strata)
            for stratum in group.strata:
                self.homes[stratum].append(index)

    def owed(self, stratum: Stratum) -> float:
        return self._share * self._totals[stratum]

    def rarity(self, stratum: Stratum) -> tuple[int, Stratum]:
        return len(self.homes[stratum]), stratum

    def fill(self, stratum: Stratum, whole: Stratum, sparing: bool = True) -> None:
        """Take groups as long as that brings the stratum nearer to its share, and its task not beyond.

        `sparing` leaves out groups that hold all that is left to learn of some label.
        """
        for index in self.homes[stratum]:
            nearer = self._nearer(stratum, index) and self._nearer(whole, index)
            taken = index in self.chosen or self._groups[index].taught
            if taken or not nearer or (sparing and self._drains(index)):
                continue
            if len(self.chosen) + 1 < len(self._groups):
                self.chosen.add(index)
                self._held.update(self._groups[index].strata)

    def _nearer(self, stratum: Stratum, index: int) -> bool:
        return self._held[stratum] + self._groups[index].strata[stratum] / 2 <= self.owed(stratum)

    def _drains(self, index: int) -> bool:
        strata = self._groups[index].strata
        return any(self._totals[one] - self._held[one] <= count for one, count in strata.items())


def _sentence(groups: Sequence[_Group], chosen: set[int], examples: int, share: float) -> str:
    if not groups:
        return "There are no examples to split."
    if not chosen:
        same = "because all pictures are one, or look the same, or were taught before"
        reason = "as asked" if share <= 0 else same
        return f"Nothing is held out, {reason}: whether it helps cannot be measured."
    held = sum(groups[index].size for index in chosen)
    images = sum(groups[index].pictures for index in chosen)
    of = sum(group.pictures for group in groups)
    told = (
        f"{held} of {examples} examples {'is' if held == 1 else 'are'} held out, on {images} of {of} images"
    )
    lookalikes = sum(group.lookalikes for group in groups)
    if lookalikes:
        images_that = "image that looks" if lookalikes == 1 else "images that look"
        told += f"; {lookalikes} {images_that} like another stayed on its side"
    every = {stratum for group in groups for stratum in group.strata}
    missing = every - {stratum for index in chosen for stratum in groups[index].strata}
    tasks = sorted(task for task, label in missing if not label)
    if tasks:
        told += f"; of {', '.join(tasks)} there is too little to hold any out"
    return f"{told}."
