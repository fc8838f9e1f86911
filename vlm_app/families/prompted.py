"""Encoding for families whose processor brings no chat template: the prompt is one text.

The family's own prompt goes to the model as its tokens; what a user typed has every
control token marked as text first, as in `templated`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from vlm_app.families.base import Family
from vlm_app.families.templated import append, control_tokens, marked, token_ids
from vlm_app.types import Picture, Role, Seen, Task, Turn


class PromptedFamily(Family):
    """A family that is asked with one prompt, written by `compose`."""

    @abstractmethod
    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        """The whole prompt, with the processor's image tokens where it wants them.

        The words of the turns are marked already: they cannot forge tokens. For a task
        other than CHAT the last user turn's text is what `ask` returned.
        """

    def commands(self, task: Task) -> tuple[str, ...]:
        """Tokens that `ask` itself writes for a task, and a user may not: they stay tokens."""
        return ()

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """Options of the image processor for a budget of pixels."""
        return {}

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        """What the model sees of the last of `pictures`."""
        return Seen(convention=self.convention)

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """The processor's inputs for a prompt; families whose processor differs write their own."""
        images = {"images": [picture.pixels for picture in pictures]} if pictures else {}
        return dict(
            processor(text=[prompt], **images, **options, sanitize_control_tokens=True, return_tensors="pt")
        )

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        started = self.unfinished(turns) if answer is None else ""
        if turns[-1].role is Role.ASSISTANT and answer is None:
            turns = turns[:-1]
        pictures = [picture for turn in turns for picture in turn.pictures]
        last = max(index for index, turn in enumerate(turns) if turn.role is Role.USER)
        safe = [self._safe(processor, turn, task, index == last) for index, turn in enumerate(turns)]
        inputs = self.process(
            processor, self.compose(safe, task), pictures, self.image_options(processor, pixels)
        )
        seen = self.seen(processor, pictures, inputs)
        if answer is not None:
            self.append_answer(processor, inputs, self.open(answer) + self.end, labelled=True)
        elif started:
            self.append_answer(processor, inputs, started, labelled=False)
        return inputs, seen

    def append_answer(self, processor: Any, inputs: dict[str, Any], text: str, *, labelled: bool) -> None:
        """Let the inputs go on with an answer; an encoder-decoder gives it to its decoder instead."""
        append(inputs, token_ids(processor.tokenizer, text), labelled=labelled)

    def _safe(self, processor: Any, turn: Turn, task: Task, last: bool) -> Turn:
        if turn.role is Role.ASSISTANT:
            return turn
        mine = set(self.commands(task)) if last else set()
        tokens = tuple(token for token in control_tokens(processor) if token not in mine)
        parts = (marked(part, tokens) if isinstance(part, str) else part for part in turn.parts)
        return Turn(turn.role, tuple(parts))
