"""Clips of a video on their way to a model: whole, or as images with their number and time.

A model that takes fewer images than a clip has frames gets some of them, spread evenly. Its
answer counts what it got; `Shown` finds each image again among those of the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vlm_app.errors import BadInput
from vlm_app.families import Family
from vlm_app.families.base import clips
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
    own = _least(checkpoint.max_images, family.max_images)
    if not clips(request.turns):
        _check_images(len(every), own, checkpoint)
        return Shown(request, every)
    if checkpoint.video and not checkpoint.server and family.takes(request.turns):
        _check_images(_stills(request), own, checkpoint)
        return Shown(request, every, True, tuple(_times(request)))
    return _thinned(request, _least(own, _server_limit(checkpoint)), checkpoint)


def _least(*limits: int | None) -> int | None:
    """The smallest limit that there is."""
    return min((limit for limit in limits if limit is not None), default=None)


def _server_limit(checkpoint: Checkpoint) -> int | None:
    from vlm_app import servers

    return servers.find(checkpoint.server).kind.max_images if checkpoint.server else None


def _check_images(count: int, most: int | None, checkpoint: Checkpoint) -> None:
    if most is not None and count > most:
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


def _thinned(request: Request, most: int | None, checkpoint: Checkpoint) -> Shown:
    """The request with as many frames of its clips as the model takes images."""
    lengths = [len(clip.frames) for clip in clips(request.turns)]
    stills = _stills(request)
    _check_images(stills + len(lengths), most, checkpoint)
    shares = _shares(lengths, sum(lengths) if most is None else most - stills)
    places = map(_spread, lengths, shares)
    kept: list[int] = []
    turns: list[Turn] = []
    first = 0  # among all images, of the part
    for turn in request.turns:
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, Clip):
                chosen = next(places)
                kept += [first + place for place in chosen]
                first += len(part.frames)
                part = _some(part, chosen)
            elif isinstance(part, Picture):
                kept.append(first)
                first += 1
            parts.append(part)
        turns.append(Turn(turn.role, tuple(parts)))
    whole = replace(request, turns=tuple(turns))
    return Shown(whole, tuple(kept), note=_note(whole, sum(lengths), checkpoint))


def _some(clip: Clip, places: Sequence[int]) -> Clip:
    frames, times = zip(*((clip.frames[place], clip.times[place]) for place in places), strict=True)
    return Clip(frames, times)


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


def _note(request: Request, frames: int, checkpoint: Checkpoint) -> str:
    times = [time for clip in clips(request.turns) for time in clip.times]
    if len(times) == frames:
        return ""
    one = len(times) == 1
    where = f"at {clock(times[0])}" if one else f"from {clock(times[0])} to {clock(times[-1])}"
    return (
        f"{checkpoint.name} saw {len(times)} frame{'' if one else 's'} of {frames}, {where}: "
        "it takes no more images."
    )


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
