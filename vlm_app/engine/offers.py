"""Real models that somebody could begin with on this computer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from vlm_app import catalog, hub
from vlm_app.engine import cores
from vlm_app.engine.devices import Device
from vlm_app.engine.memory import fit
from vlm_app.hub import headers
from vlm_app.types import Checkpoint, Runs, Task

# A model of this size is a gigabyte in 16 bits, and answers within seconds on two cores.
SMALL = 600_000_000  # parameters
ROOMY = 8_000_000_000  # bytes from which one model that does everything is offered
READABLE = 5.0  # tokens a second: about as fast as one reads
COMFORT = 0.8  # of what is free is used, at most: a first model is not to be refused for a long answer
MOST = 3
_DRAWS = frozenset({Task.DETECT, Task.GROUND})
_PROBE_BYTES = {"cpu": 64_000_000, "cuda": 512_000_000}
# transformers' `generate` is bound by what Python launches: it writes 45 to 59 tokens a second on
# an H20 with 0.6 to 8 billion parameters alike, where the memory would allow many times that.
_LAUNCHED = 50.0


@dataclass(frozen=True, slots=True)
class Offer:
    """A model to begin with: `download` in bytes (0: on disk), `tokens_per_second` as `speed` guesses."""

    checkpoint: Checkpoint
    precision: str
    download: int
    tokens_per_second: float
    draws: bool
    chats: bool


def offers(rows: Iterable[Checkpoint], capacity: int, device: Device) -> tuple[Offer, ...]:
    """At most three models of permissive licence that fit into `capacity` bytes with ease, the best first.

    With room for it, the largest that both draws and chats and writes as fast as one reads,
    and on a GPU one of at most half its size; then a small one that draws and a small one
    that chats. Asks nobody.
    """
    able = [found for row in rows if _offered(row) and (found := _offer(row, capacity, device))]
    chosen: list[Offer] = []
    both = [each for each in able if each.draws and each.chats and each.tokens_per_second >= READABLE]
    if capacity >= ROOMY and both:
        best = _largest(both)
        half = [each for each in both if 2 * each.checkpoint.parameters <= best.checkpoint.parameters]
        chosen += [best, _largest(half)] if half and device.name != "cpu" else [best]
    small = [each for each in able if each.checkpoint.parameters <= SMALL]
    for wanted in ([each for each in small if each.draws], [each for each in small if each.chats]):
        if wanted:
            chosen.append(_largest(wanted))
    return tuple(dict.fromkeys(chosen))[:MOST]


def speed(row: Checkpoint, weights: int, device: str) -> float:
    """Tokens a second, at most: every weight is read once for each token.

    Very rough. It knows nothing of caches, of experts that rest or of the time that it
    takes to read the prompt; on a CPU it is up to three times too fast. There int8 and
    nf4 count as 16 bits: unpacking them takes as long as reading the rest would.
    """
    if device.startswith("cuda"):
        return min(bandwidth(device) / max(weights, 1), _LAUNCHED)
    return bandwidth(device) / max(weights, catalog.memory(row, "bf16"), 1)


@cache
def bandwidth(device: str) -> float:
    """Bytes a second that a device reads and writes in a large copy, measured once in some milliseconds."""
    return cores.apart(lambda: _copied(device))


def _copied(device: str) -> float:
    import torch

    source = torch.ones(_PROBE_BYTES[device.partition(":")[0]], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    wait: Callable[[], object] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    best = float("inf")
    for _ in range(4):  # the first one is slow: memory is mapped
        wait()
        began = time.perf_counter()
        target.copy_(source)
        wait()
        best = min(best, time.perf_counter() - began)
    return 2.0 * int(source.nbytes) / best


def _offered(row: Checkpoint) -> bool:
    """Whether somebody may use it for anything, and nothing has to be accepted or run for it."""
    return (
        row.runs is Runs.IN_PROCESS
        and row.permissive is True
        and row.listed
        and not row.gated
        and not row.remote_code
        and not row.source.startswith("/")
        and row.parameters > 0
        and (bool(row.tasks & _DRAWS) or row.chat)
    )


def _offer(row: Checkpoint, capacity: int, device: Device) -> Offer | None:
    verdict = fit(row, round(capacity * COMFORT))
    if verdict is None or not verdict.fits:
        return None
    return Offer(
        checkpoint=row,
        precision=verdict.precision,
        download=_download(row),
        tokens_per_second=speed(row, verdict.estimate.weights, device.name),
        draws=bool(row.tasks & _DRAWS),
        chats=row.chat and Task.CHAT in row.tasks,
    )


def _download(row: Checkpoint) -> int:
    if row.source in hub.on_disk():
        return 0
    known = headers.known(row.source)
    return known.bytes if known else catalog.memory(row, "bf16")


def _largest(offers: list[Offer]) -> Offer:
    """The largest; of the same size the one that can do more, and then the first of the catalog."""
    return max(offers, key=lambda offer: (offer.checkpoint.parameters, len(offer.checkpoint.tasks)))
