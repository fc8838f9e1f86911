"""Clips of a video on their way to a model: whole, or as images with their number and time.

A model that takes fewer images than a clip has frames gets some of them, spread evenly. Its
answer counts what it got; `Shown` finds each image again among those of the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vlm_app.errors import BadInput
from vlm_app.families import Family
from vlm_app.grounding.moments import clock
from vlm_app.types import Checkpoint, Clip, Part, Picture, Region, Request, Turn


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown of a request.

    `kept` are the indexes, among all images of the request, of those that it gets. `native`
    says that clips go to the model as videos, and `times` are then the seconds of each image
    that it gets (None: no frame).
    """

    request: Request
    kept: tuple[int, ...]
    native: bool = False
    times: tuple[float | None, ...] = ()
    note: str = ""

    def turns(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """The turns as the model is asked: clips in them stay, or become numbered images."""
        return tuple(turns) if self.native else tuple(_numbered(turns))

    def sizes(self) -> list[tuple[int, int]]:
        """The size of each image that the model gets."""
        return [picture.size for picture in self.request.pictures]

    def placed(self, regions: Sequence[Region]) -> tuple[Region, ...]:
        """Regions with the image that they lie on counted as the request counts it."""
        if self.kept == tuple(range(len(self.kept))):
            return tuple(regions)
        last = len(self.kept) - 1
        return tuple(replace(region, image=self.kept[min(region.image, last)]) for region in regions)


def shown(request: Request, checkpoint: Checkpoint, family: Family) -> Shown:
    """What of a request its model is shown.

    Raises `BadInput` where it takes fewer images than there are besides the frames.
    """
    every = tuple(range(len(request.pictures)))
    if not any(isinstance(part, Clip) for turn in request.turns for part in turn.parts):
        _check_images(len(every), checkpoint, family)
        return Shown(request, every)
    if checkpoint.video and not checkpoint.server and family.takes(request.turns):
        _check_images(_stills(request), checkpoint, family)
        return Shown(request, every, True, tuple(_times(request)))
    return _thinned(request, checkpoint, family)


def most_images(checkpoint: Checkpoint, family: Family) -> int | None:
    """The most images in a conversation with a model; None: no limit."""
    limits = [most for most in (checkpoint.max_images, family.max_images) if most is not None]
    if checkpoint.server:
        from vlm_app import servers

        most = servers.find(checkpoint.server).kind.max_images
        limits += [] if most is None else [most]
    return min(limits, default=None)


def _check_images(count: int, checkpoint: Checkpoint, family: Family) -> None:
    limits = [most for most in (checkpoint.max_images, family.max_images) if most is not None]
    most = min(limits, default=count)
    if count > most:
        raise BadInput(
            f"{checkpoint.name} takes at most {most} images in a conversation, found {count}: "
            "begin a new chat."
        )


def _stills(request: Request) -> int:
    return sum(isinstance(part, Picture) for turn in request.turns for part in turn.parts)


def _times(request: Request) -> Iterator[float | None]:
    for part in (part for turn in request.turns for part in turn.parts):
        if isinstance(part, Clip):
            yield from part.times
        elif isinstance(part, Picture):
            yield None


# --- fewer frames -----------------------------------------------------------------------


def _thinned(request: Request, checkpoint: Checkpoint, family: Family) -> Shown:
    """The request with as many frames of its clips as the model takes images."""
    lengths = [len(part.frames) for turn in request.turns for part in turn.parts if isinstance(part, Clip)]
    stills, most = _stills(request), most_images(checkpoint, family)
    room = sum(lengths) if most is None else most - stills
    if room < len(lengths):
        _check_images(stills + len(lengths), checkpoint, family)
    shares = iter(_shares(lengths, room))
    kept: list[int] = []
    turns, index = [], 0
    for turn in request.turns:
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, Clip):
                chosen = _spread(len(part.frames), next(shares))
                kept += [index + place for place in chosen]
                index += len(part.frames)
                part = Clip(
                    tuple(part.frames[place] for place in chosen),
                    tuple(part.times[place] for place in chosen),
                )
            elif isinstance(part, Picture):
                kept.append(index)
                index += 1
            parts.append(part)
        turns.append(Turn(turn.role, tuple(parts)))
    whole = replace(request, turns=tuple(turns))
    return Shown(whole, tuple(kept), note=_note(whole, lengths, checkpoint))


def _shares(lengths: Sequence[int], room: int) -> list[int]:
    """How many frames of each clip are shown: equal shares, and what a short clip leaves to the others."""
    shares = [0] * len(lengths)
    for _ in range(min(room, sum(lengths))):
        open_ones = [place for place, length in enumerate(lengths) if shares[place] < length]
        shares[min(open_ones, key=lambda place: shares[place])] += 1
    return shares


def _spread(length: int, count: int) -> list[int]:
    """`count` of `length` places: the middles of equal parts."""
    return [int((part + 0.5) * length / count) for part in range(count)]


def _note(request: Request, lengths: Sequence[int], checkpoint: Checkpoint) -> str:
    clips = [part for turn in request.turns for part in turn.parts if isinstance(part, Clip)]
    found = sum(len(clip.frames) for clip in clips)
    if found == sum(lengths):
        return ""
    times = [time for clip in clips for time in clip.times]
    where = f"at {clock(times[0])}" if found == 1 else f"from {clock(times[0])} to {clock(times[-1])}"
    frames = "frame" if found == 1 else "frames"
    return f"{checkpoint.name} saw {found} {frames} of {sum(lengths)}, {where}: it takes no more images."


# --- numbered images --------------------------------------------------------------------


def _numbered(turns: Sequence[Turn]) -> Iterator[Turn]:
    alone = sum(len(turn.pictures) for turn in turns) == 1  # a number would tell nothing
    for turn in turns:
        parts: list[Part] = []
        for part in turn.parts:
            if not isinstance(part, Clip):
                parts.append(part)
            elif alone:
                parts += part.frames
            else:
                parts += _introduced(part)
        yield Turn(turn.role, tuple(parts))


def _introduced(clip: Clip) -> Iterator[Part]:
    for number, (picture, time) in enumerate(zip(clip.frames, clip.times, strict=True), 1):
        yield f"Frame {number}, {clock(time)}:"
        yield picture
