"""What a model takes of a conversation, and in words what it would have to leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlm_app import families
from vlm_app.chat.conversation import Message
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.types import Checkpoint, Role, Task

Find = Callable[[str], Checkpoint]


@dataclass(frozen=True)
class Taking:
    """How much one model takes: at most so many images (None: any number), and the past or not."""

    name: str
    images: int | None = None
    past: bool = True

    @classmethod
    def of(cls, find: Find, model: str) -> Taking:
        """Of a model of the catalog; an unknown one takes all, because the engine refuses it by name."""
        try:
            row = find(model)
        except ModelUnavailable:
            return cls(model)
        if row.family not in families.names():
            return cls(row.name, row.max_images)
        family = families.get(row.family)
        limits = [most for most in (row.max_images, family.max_images) if most is not None]
        return cls(row.name, min(limits, default=None), not family.last_message_only)

    def check(self, images: int) -> None:
        """Raises `BadInput` when one message alone has more images than the model takes."""
        if self.images is not None and images > self.images:
            raise BadInput(f"{self._too_many(images)}.")

    def kept(self, counts: Sequence[int]) -> range:
        """Which images of a conversation the model gets, as indices among all of them.

        `counts` are the images of the user's messages in order, the one to answer last. The
        last images stay; a model without a past gets those of the last message that has any.
        """
        total = sum(counts)
        wanted = total if self.past else next((count for count in reversed(counts) if count), 0)
        kept = wanted if self.images is None else min(wanted, self.images)
        return range(total - kept, total)

    def said(self, messages: Sequence[Message], images: int) -> str:
        """What would be left out if a message with so many images were sent now, or ''.

        Where that message itself has too many, the sentence says so.
        """
        if self.images is not None and images > self.images:
            return f"{self._too_many(images)}."
        asked = [len(each.media) for each in messages if each.turn.role is Role.USER]
        dropped = sum(asked) + images - len(self.kept([*asked, images]))
        if not self.past and messages:
            return self._without_past(dropped, fresh=images > 0 or not sum(asked))
        if not dropped or self.images is None:
            return ""
        lost = "the earlier image" if dropped == 1 else f"the {dropped} earlier images"
        return f"{self.name} takes {counted(self.images)}: {lost} would be left out."

    def _without_past(self, dropped: int, fresh: bool) -> str:
        lost = "earlier messages" if not (fresh and dropped) else "earlier messages and their images"
        but = "" if fresh else ", but for the last image"
        return f"{self.name} reads only the last message: {lost} would be left out{but}."

    def _too_many(self, images: int) -> str:
        most = self.images or 0
        return (
            f"{self.name} takes {counted(most)}, this message has {images}: "
            f"remove {images - most}, or choose another model"
        )


def counted(images: int) -> str:
    """'1 image', '3 images'."""
    return "1 image" if images == 1 else f"{images} images"


def able(row: Checkpoint, task: Task) -> bool:
    """Whether a model can be asked for a task: by its own words for it, or in a chat."""
    return task in row.tasks or (row.chat and Task.CHAT in row.tasks)
