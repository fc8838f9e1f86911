"""How much memory a checkpoint takes before it is loaded, and in which precision it fits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from vlm_app import catalog, families
from vlm_app.engine import packages
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.devices import devices
from vlm_app.engine.quantizing import OWN, best_precision
from vlm_app.engine.shapes import Shapes, shapes
from vlm_app.engine.working import PHOTOGRAPH, image, reserve, tokens_of, working
from vlm_app.errors import ModelUnavailable
from vlm_app.hub import headers
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Runs

_log = logging.getLogger(__name__)
_QUANTIZED = ("int8", "nf4")
# Of the weights in 16 bits, where only the number of parameters is known. Over the catalog's
# models with known shapes the cache of 8192 tokens takes 3 to 33 %, a prompt on its way 4 to 17 %.
_ROUGH_CACHE, _ROUGH_IMAGES = 0.15, 0.10
# bitsandbytes' int8 on a CPU takes tensors of three dimensions, and these hand it four.
_NO_INT8_ON_CPU = frozenset({"deepseek_ocr2", "got_ocr2", "lfm2_vl", "mllama"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that a checkpoint will take. `images` is what an image and its prompt take on their way.

    `exact`: from the shapes of all its tensors; else from the catalog's number of parameters.
    """

    weights: int
    cache: int
    images: int
    reserve: int
    exact: bool

    @property
    def working(self) -> int:
        return self.cache + self.images + self.reserve

    @property
    def total(self) -> int:
        return self.weights + self.working


@dataclass(frozen=True, slots=True)
class Fit:
    """An estimate against the bytes that are free."""

    precision: str
    estimate: Estimate
    free: int

    @property
    def fits(self) -> bool:
        return self.estimate.total <= self.free

    @property
    def words(self) -> str:
        """The verdict; 'about' where the estimate is a rough one."""
        about = "" if self.estimate.exact else "about "
        if self.fits:
            return f"fits in {self.precision} with {about}{size(self.free - self.estimate.total)} to spare"
        needed = f"needs {about}{size(self.estimate.total)} in {self.precision}"
        return f"{needed}, and {size(self.free)} are free"


def size(bytes: int) -> str:
    """'5.2 GB', '340 MB'."""
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e9 else f"{bytes / 1e6:.0f} MB"


def estimate(
    checkpoint: Checkpoint,
    precision: str,
    tokens: int | None = None,
    pixels: int | None = None,
    *,
    ask_hub: bool = False,
) -> Estimate | None:
    """The bytes that a checkpoint takes while it answers; None where nothing is known of it.

    `tokens` of prompt and answer (by default the context, at most `working.TOKENS`), about
    an image of which the model may see `pixels` (by default a photograph's). 'auto' is
    what the hardware multiplies best. Exact where the files are on disk or their headers
    were fetched; with `ask_hub` they are fetched now, which may raise `ModelUnavailable`.
    """
    if checkpoint.runs is Runs.PACKAGE:
        return packages.estimate()
    if ask_hub and not _local(checkpoint) and headers.stamp(checkpoint.source) is None:
        headers.fetch(checkpoint.source)
    return _estimate(checkpoint, precision, shapes(checkpoint), tokens, pixels)


def fit(checkpoint: Checkpoint, free: int, precision: str = "auto") -> Fit | None:
    """How a checkpoint fits into `free` bytes; of 'auto' the best precision that does, or else the smallest.

    None for what does not run in this app, and where nothing is known. Asks nobody.
    """
    if checkpoint.runs is Runs.PACKAGE:
        return packages.fit(precision, free)
    if checkpoint.runs is not Runs.IN_PROCESS:
        return None
    known, last = shapes(checkpoint), None
    for name in _choices(checkpoint, precision, known):
        found = _estimate(checkpoint, name, known)
        if found is None:
            return None
        last = Fit(name, found, free)
        if last.fits:
            break
    return last


def choices(checkpoint: Checkpoint, precision: str = "auto") -> tuple[str, ...]:
    """The precisions to try, the best first: of 'auto' those that this computer can load it in."""
    if checkpoint.runs is Runs.PACKAGE:
        return (packages.PRECISION,)
    return _choices(checkpoint, precision, shapes(checkpoint))


def unquantizable(checkpoint: Checkpoint, precision: str) -> str:
    """Why a checkpoint cannot be loaded in int8 or nf4 here, as a clause; '' where it can."""
    if checkpoint.runs is Runs.PACKAGE:
        return f"its networks come in {packages.PRECISION}" if precision in _QUANTIZED else ""
    return _unquantizable(checkpoint, precision, shapes(checkpoint))


def remedy(checkpoint: Checkpoint, precision: str, pixels: int | None, free: int) -> str:
    """What would fit into `free` bytes (those that the model itself holds included), as clauses.

    'nf4 would need 5.2 GB; halving the pixel budget saves 0.8 GB'. Only what was checked
    to fit; where nothing does, 'choose a smaller model'.
    """
    return "; ".join(_remedies(checkpoint, precision, pixels, free)) or "choose a smaller model"


def plan(checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan:
    """How to load a checkpoint into `capacity` bytes: see `Backend.plan`.

    The headers of a repository that are not known yet are asked for; where the Hub does
    not answer, the catalog's number of parameters has to do.
    """
    from vlm_app.engine import placing

    watch.report("planning")
    _ask(checkpoint)
    watch.report("planning")
    shapes(checkpoint, watch)  # from here on they are known, where they can be
    if reason := unquantizable(checkpoint, precision):
        raise ModelUnavailable(
            f"{checkpoint.name} cannot be loaded in {precision}: {reason}; choose another precision."
        )
    names = choices(checkpoint, precision)
    for name in names:
        found = estimate(checkpoint, name)
        if found is None:  # nothing is known: the load itself will tell
            return Plan(checkpoint, name, 0, reserve(0, _device()), devices()[0].name)
        if found.total <= capacity:
            return Plan(checkpoint, name, found.weights, found.working, devices()[0].name)
    for name in names:
        if placed := placing.spread(checkpoint, name, capacity, watch):
            return placed
    raise ModelUnavailable(_refusal(checkpoint, names, precision, capacity))


# --- how it is worked out -----------------------------------------------------------------


def _choices(checkpoint: Checkpoint, precision: str, known: Shapes | None) -> tuple[str, ...]:
    if precision != "auto":
        return (precision,)
    if known is not None and known.own:
        return (f"{OWN} ({known.own})",)
    smaller = (name for name in _QUANTIZED if not _unquantizable(checkpoint, name, known))
    return (best_precision(_device()), *smaller)


def _unquantizable(checkpoint: Checkpoint, precision: str, known: Shapes | None) -> str:
    if precision not in _QUANTIZED:
        return ""
    if not _bitsandbytes():
        return f"{precision} needs the package bitsandbytes, which is not installed"
    if known is not None and known.own:
        return f"its files are quantized already ({known.own})"
    if _device() != "cpu":
        return ""
    if precision == "int8" and checkpoint.family in _NO_INT8_ON_CPU:
        return "bitsandbytes' int8 cannot multiply what it hands over on a CPU"
    return ""


def _estimate(
    checkpoint: Checkpoint,
    precision: str,
    known: Shapes | None,
    tokens: int | None = None,
    pixels: int | None = None,
) -> Estimate | None:
    if checkpoint.runs in (Runs.HOSTED, Runs.PARSER_ONLY):
        return None
    base = best_precision(_device())
    precision = base if precision == "auto" else precision
    if known is None:
        return _rough(checkpoint, precision)
    return _exact(checkpoint, known, precision, base, tokens, pixels)


def _exact(
    checkpoint: Checkpoint, found: Shapes, precision: str, base: str, tokens: int | None, pixels: int | None
) -> Estimate:
    body, device = found.anatomy, _device()
    seen = found.image if pixels is None else image(body, found.folder, checkpoint.family, pixels)
    weights = found.stored if found.own else body.weights.bytes(precision, base)
    tokens = tokens or tokens_of(checkpoint.context, body.context)
    extra = working(body, precision, base, tokens, seen)
    kept = reserve(weights + extra.cache + extra.images, device)
    return Estimate(weights, extra.cache, extra.images, kept, exact=True)


def _rough(checkpoint: Checkpoint, precision: str) -> Estimate | None:
    weights = catalog.memory(checkpoint, precision)
    if not weights:
        return None
    whole = catalog.memory(checkpoint, "bf16")
    cache, images = round(whole * _ROUGH_CACHE), round(whole * _ROUGH_IMAGES)
    return Estimate(weights, cache, images, reserve(weights + cache + images, _device()), exact=False)


def _ask(checkpoint: Checkpoint) -> None:
    if _local(checkpoint) or headers.stamp(checkpoint.source) is not None:
        return
    try:
        headers.fetch(checkpoint.source)
    except ModelUnavailable as error:
        _log.info("%s", error.sentence)


def _remedies(checkpoint: Checkpoint, precision: str, pixels: int | None, free: int) -> Iterator[str]:
    now = estimate(checkpoint, precision, pixels=pixels)
    if now is None:
        return
    for name in _QUANTIZED:
        if name == precision or unquantizable(checkpoint, name):
            continue
        other = estimate(checkpoint, name, pixels=pixels)
        if other is not None and other.total < now.total and other.total <= free:
            yield f"{name} would need {size(other.total)}"
    if families.get(checkpoint.family).pixel_budget:
        half = (pixels or PHOTOGRAPH[0] * PHOTOGRAPH[1]) // 2
        less = estimate(checkpoint, precision, pixels=half)
        # A megabyte less helps nobody.
        if less is not None and less.exact and less.total <= free and now.total - less.total >= 1_000_000:
            yield f"halving the pixel budget saves {size(now.total - less.total)}"


def _refusal(checkpoint: Checkpoint, names: tuple[str, ...], asked: str, capacity: int) -> str:
    found = estimate(checkpoint, names[-1])
    assert found is not None, "what is not known is not refused"
    about = "" if found.exact else "about "
    smallest = ", the smallest precision that it loads in," if asked == "auto" and len(names) > 1 else ""
    skipped = [
        reason for name in _QUANTIZED if asked == "auto" and (reason := unquantizable(checkpoint, name))
    ]
    why = f" ({'; '.join(skipped)})" if skipped else ""
    device = devices()[0]
    return (
        f"{checkpoint.name} needs {about}{size(found.total)} in {names[-1]}{smallest}{why} and "
        f"{size(capacity)} can be had on {device.title}: {remedy(checkpoint, names[-1], None, capacity)}"
        f"{_offload()}{_limit(capacity)}."
    )


def _offload() -> str:
    if settings().offload != "never":
        return ""
    return ", or let a part of it lie in slower memory (VLM_APP_OFFLOAD=cpu or disk)"


def _limit(capacity: int) -> str:
    """A limit that was set from outside is named where it is what models are short of."""
    most = settings().memory
    return "" if most is None or capacity < most else f", or raise VLM_APP_MEMORY, which is {size(most)}"


def _local(checkpoint: Checkpoint) -> bool:
    return Path(checkpoint.source).is_absolute()


@cache
def _device() -> str:
    """'cuda' or 'cpu': of the device that models are loaded on, which does not change while the app runs."""
    return devices()[0].name.partition(":")[0]


@cache
def _bitsandbytes() -> bool:
    return find_spec("bitsandbytes") is not None
