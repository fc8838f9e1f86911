"""What Pebble is trained on: the words of the answers, and what lies under each patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlm_app.pebble.batches import IGNORED, SLOTS, UNDER, Batch
from vlm_app.pebble.markup import BINS
from vlm_app.pebble.words import CHARACTERS, COLOURS

_SPREAD = 1.5  # bins: a location next to the right one is nearly right


class DenseHead(nn.Module):
    """Reads kind, colour, box and letters off each patch of the encoder; dropped after training.

    It teaches the encoder directly what the decoder would otherwise have to ask for
    through its few answers: without it the loss stays on a plateau for tens of thousands
    of images.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._parts = (len(UNDER), len(COLOURS) + 1, 4, 2 * (len(CHARACTERS) + 1))
        self.read = nn.Linear(width, sum(self._parts))
        self.spell = nn.Linear(width, SLOTS * (len(CHARACTERS) + 1))

    def spelling_loss(self, visual: Tensor, batch: Batch) -> Tensor:
        """Which letter has its middle in which slot of each visual token, (images, visual tokens, width).

        Without it the connector keeps which letters there are and loses their order.
        """
        letters = self.spell(visual).float().unflatten(-1, (SLOTS, -1))
        return _letter_loss(letters, batch["spelling"])

    def loss(self, features: Tensor, batch: Batch) -> Tensor:
        """Mean loss over patches; `features` is (images, patches, width)."""
        kind, hue, box, letters = self.read(features).float().split(self._parts, dim=-1)
        thing = batch["kind"] > 0
        share = torch.where(thing, 1.0, 0.25)
        loss = (
            functional.cross_entropy(kind.transpose(1, 2), batch["kind"], reduction="none") * share
        ).mean()
        loss = loss + _letter_loss(letters.unflatten(-1, (2, -1)), batch["letters"])
        if thing.any():
            loss = loss + 0.3 * functional.cross_entropy(hue[thing], batch["hue"][thing])
            loss = loss + 2.0 * functional.l1_loss(box[thing].sigmoid(), batch["box"][thing])
        return loss


def _letter_loss(logits: Tensor, letters: Tensor) -> Tensor:
    """(images, places, slots, characters) against (images, places, slots), where 0 is no letter."""
    each = functional.cross_entropy(logits.permute(0, 3, 1, 2), letters, reduction="none")
    return (each * torch.where(letters > 0, 1.0, 0.05)).sum() / 256 / len(logits)


def lens_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """How well visual tokens, read like words, name what they show.

    (images, visual tokens, vocabulary), and token ids with -1 for none. The embeddings
    are those of the words, so that a word finds its place in the image by likeness.
    """
    there = tokens >= 0
    logs = functional.log_softmax(logits.float(), dim=-1).gather(-1, tokens.clamp(min=0))
    each = (logs * there).sum(dim=-1) / there.sum(dim=-1).clamp(min=1)
    return -each.sum() / there.any(dim=-1).sum().clamp(min=1)


def answer_loss(logits: Tensor, labels: Tensor, weights: Tensor, first_location: int) -> Tensor:
    """Weighted cross entropy over answer tokens: (tokens, vocabulary), (tokens,), (tokens,).

    The target of a location token is spread over its neighbours.
    """
    logs = functional.log_softmax(logits.float(), dim=-1)
    exact = -logs.gather(1, labels[:, None])[:, 0]
    place = labels - first_location
    spot = (place >= 0) & (place < BINS)
    reach = torch.arange(-3, 4, device=labels.device)
    near = place[spot, None] + reach
    share = torch.exp(-0.5 * (reach / _SPREAD) ** 2) * ((near >= 0) & (near < BINS))
    share = share / share.sum(dim=1, keepdim=True)
    soft = -(logs[spot].gather(1, near.clamp(0, BINS - 1) + first_location) * share).sum(dim=1)
    loss = exact.masked_scatter(spot, soft)
    return (loss * weights).sum() / weights.sum()


def chosen(labels: Tensor) -> Tensor:
    """Where the next token is part of an answer: a mask over (rows, length - 1)."""
    return labels[:, 1:] != IGNORED
