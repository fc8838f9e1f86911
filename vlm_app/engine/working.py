"""What an answer takes on top of the weights: the cache, an image on its way, and a reserve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vlm_app import families
from vlm_app.engine.anatomy import Anatomy, Tower, element
from vlm_app.engine.libraries import import_transformers

TOKENS = 8192  # of prompt and answer, where the context is longer and nobody says how many
PHOTOGRAPH = (2048, 1536)  # the image that is expected where nobody says how many pixels
# What torch's allocator cannot hand out for its blocks being cut up, and small things not counted.
RESERVE_SHARE = 0.05
RESERVE_BYTES = {"cpu": 64_000_000, "cuda": 256_000_000}  # on a GPU cuBLAS keeps its workspaces as well
_PIXEL = 4  # bytes: processors write fp32
_SUM = 4  # bytes of an int32
_SCORE_COPIES = 8  # bytes of an attention score that is written out: two of 16 bits, and softmax in fp32


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the processor hands it over: how many numbers, patches, and patches in its largest tile."""

    numbers: int = 0
    patches: int = 0
    tile: int = 0


@dataclass(frozen=True, slots=True)
class Working:
    """Bytes on top of the weights while an answer is made; `images` is what exceeds the cache."""

    cache: int
    images: int


def tokens_of(context: int, most: int = 0) -> int:
    """How many tokens are expected of a model with this context (0: unknown)."""
    return min(filter(None, (context, most, TOKENS)))


def working(anatomy: Anatomy, precision: str, base: str, tokens: int, image: Image) -> Working:
    """The peak is either the vision tower at work, or the prompt with the cache that it fills."""
    size = element(precision if precision in ("bf16", "fp16", "fp32") else base)
    cache = size * (cached(anatomy, tokens) + anatomy.crossing * image.patches)
    pixels = image.numbers * (_PIXEL + size)  # as they came, and in the model's own precision
    seen = _passing(anatomy.vision, image.patches, image.tile, precision, size)
    read = cache + _passing(anatomy.language, tokens, tokens, precision, size)
    told = cache + (2 * anatomy.hidden + anatomy.vocabulary) * size * (tokens if anatomy.every_logit else 1)
    # Between the towers stand matrices that only a few tokens meet.
    joined = anatomy.weights.largest * size if precision == "nf4" else 0
    return Working(cache, pixels + max(seen, read, told, joined) - cache)


def cached(anatomy: Anatomy, tokens: int) -> int:
    """Numbers in the cache; a sliding window keeps no more than it sees."""
    return sum(each * min(tokens, window or tokens) for each, window in anatomy.cache)


def reserve(bytes: int, device: str) -> int:
    """What is left alone of `bytes` more."""
    return round(bytes * RESERVE_SHARE) + RESERVE_BYTES["cuda" if device.startswith("cuda") else "cpu"]


@lru_cache(maxsize=256)
def image(anatomy: Anatomy, folder: Path, family: str, pixels: int | None) -> Image:
    """A blank photograph through the checkpoint's own image processor.

    `pixels` is the most that the model may see, where its family allows a choice. A
    checkpoint whose processor cannot be had counts as one that sees the photograph as it is.
    """
    from PIL.Image import new

    processor = _processor(folder)
    if processor is None:
        seen = min(pixels or PHOTOGRAPH[0] * PHOTOGRAPH[1], PHOTOGRAPH[0] * PHOTOGRAPH[1])
        return Image(3 * seen, seen // anatomy.patch**2, seen // anatomy.patch**2)
    choose = getattr(families.get(family), "image_options", None)
    options = choose(SimpleNamespace(image_processor=processor), pixels) if choose else {}
    return _measured(processor(images=[new("RGB", PHOTOGRAPH)], return_tensors="pt", **options), anatomy)


def _measured(found: Any, anatomy: Anatomy) -> Image:
    """By the tensors with numbers: a patch is a square of three colours, whatever the layout."""
    import torch

    tensors = [found] if isinstance(found, torch.Tensor) else list(found.values())
    shaped = [each for each in tensors if isinstance(each, torch.Tensor) and each.is_floating_point()]
    one = 3 * anatomy.patch**2
    largest = 0
    for tensor in shaped:
        tile = tensor.shape[-2:].numel() * (3 if tensor.ndim >= 4 else 1)
        # Without tiles all patches stand in one row and see each other.
        largest = max(largest, (tensor.numel() if tensor.ndim == 2 else tile) // (one * anatomy.frames))
    numbers = sum(tensor.numel() for tensor in shaped)
    return Image(numbers, numbers // (one * anatomy.frames), largest)


def _processor(folder: Path) -> Any:
    import_transformers()
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError):
        return None


def _passing(tower: Tower, tokens: int, together: int, precision: str, size: int) -> int:
    """Bytes while tokens pass a tower; `together` is how many of them see each other.

    Of what lives at most, two inner widths come only after the last matrix that makes one.
    While that is multiplied, nf4 writes it out, and bitsandbytes' int8 sums up in int32
    before it has the result in fp16.
    """
    inner = tokens * tower.inner
    widest = tokens * tower.wide * size
    meanwhile = {"int8": inner * (_SUM + 2), "nf4": tower.matrix * size + inner * size}.get(precision, 0)
    scores = tower.heads * tokens * min(together, tower.window or together) * _SCORE_COPIES
    return max(widest, widest - 2 * inner * size + meanwhile) + tokens * tower.kept * size + scores
