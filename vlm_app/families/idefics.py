"""IDEFICS (Hugging Face, 2023), the open Flamingo: CLIP, a perceiver of 64 tokens, gated cross-attention.

IDEFICS-9B is a base model: it goes on with a text in which images stand. Its prompts are
those of transformers' guide (docs/source/en/tasks/idefics.md): `This is an image of ` for a
caption, `Instruction: … Question: … Answer:` for a question; any other message is completed
as it stands. The instruct checkpoints have the token `<end_of_utterance>` and are asked in
their card's form, `User: … Assistant:`. An image is squeezed to a square of 224 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.templated import append, token_ids
from vlm_app.families.words import InWords, first_token
from vlm_app.types import Picture, Role, Seen, Task, Turn

_FAKE, _IMAGE = "<fake_token_around_image>", "<image>"
_LATENTS = 64  # tokens an image becomes; the processor does not say it
_QUESTION = "Instruction: Provide an answer to the question. Use the image to answer.\n"
_EOS, _END = "</s>", "<end_of_utterance>"  # what closes an answer of the base model, of an instructed one


class Idefics(InWords, PromptedFamily):
    name = "idefics"
    title = "IDEFICS"
    native = "IdeficsForVisionText2Text"
    model_types = frozenset({"idefics"})
    prompts: ClassVar[Mapping[Task, str]] = {Task.CAPTION: "This is an image of "}
    tasks = frozenset({Task.CHAT, Task.CAPTION})
    end = _END
    control = ("<s>", _EOS, "<unk>", "<pad>", _FAKE, _IMAGE)
    # No towers for LoRA: the loss of this class forgets the tokens beyond `vocab_size` (transformers 5.23).

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        if _END in processor.tokenizer.added_tokens_encoder and self is FAMILY:
            return _INSTRUCTED.encode(processor, turns, task=task, pixels=pixels, answer=answer)
        return super().encode(processor, turns, task=task, pixels=pixels, answer=answer)

    def open(self, text: str) -> str:
        return super().open(text).partition(_EOS)[0]

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        turns = [turn for turn in turns if turn.role is not Role.SYSTEM]
        asks = turns[-1].text.strip().endswith("?")
        return (_QUESTION if asks else "") + "".join(self._turn(turn, asks) for turn in turns)

    def _turn(self, turn: Turn, asks: bool) -> str:
        text = self.open(turn.text).strip()
        if turn.role is Role.ASSISTANT:
            return f" {text}\n"
        return _images(turn) + (f"Question: {text} Answer:" if asks else text)

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """As the processor does it, which itself would fetch an address that a user types."""
        from transformers.models.idefics import processing_idefics as own

        tokenizer = processor.tokenizer
        text = (first_token(tokenizer) or str(tokenizer.bos_token)) + prompt
        tokens = tokenizer(
            [text], add_special_tokens=False, sanitize_control_tokens=True, return_tensors="pt"
        )
        images = processor.image_processor([picture.pixels for picture in pictures], return_tensors="pt")
        looks, _ = own.image_attention_mask_for_packed_input_ids(tokens["input_ids"], tokenizer, "pt")
        mask = own.incremental_to_binary_attention_mask(looks, "pt", num_classes=len(pictures))
        return {**tokens, "pixel_values": images[None], "image_attention_mask": mask}

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        return Seen(size=(int(width), int(height)), visual_tokens=_LATENTS)

    def append_answer(self, processor: Any, inputs: dict[str, Any], text: str, *, labelled: bool) -> None:
        end = _END if _END in processor.tokenizer.added_tokens_encoder else _EOS
        text = f" {text.lstrip()}".replace(_END, end)
        append(inputs, token_ids(processor.tokenizer, text), labelled=labelled)


class _Instructed(Idefics):
    """IDEFICS-9B-instruct and 80B-instruct."""

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        said = []
        for turn in turns:
            text = self.open(turn.text).strip()
            lead = _images(turn) if turn.pictures else " "
            said.append(f"{turn.role.value.capitalize()}:{lead}{text}{_END}\n")
        return "".join(said) + "Assistant:"


def _images(turn: Turn) -> str:
    """The turn's images as the processor writes them: neighbours share the token between them."""
    return _FAKE + (_IMAGE + _FAKE) * len(turn.pictures) if turn.pictures else ""


_INSTRUCTED = _Instructed()
FAMILY = Idefics()
