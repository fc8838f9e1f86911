"""BLIP-2 (Li et al., 2023): a Q-Former gives 32 tokens of the image to OPT or Flan-T5, which completes text.

It is a base model: it goes on with what it is given. Its documented prompts are `a photo
of` for captions and `Question: … Answer:` for questions, with earlier ones before
(salesforce/LAVIS, projects/blip2; the checkpoints' cards). So a message that ends with a
question mark is asked in that form, and any other is completed as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.templated import append, marked, token_ids
from vlm_app.families.words import InWords
from vlm_app.types import Picture, Role, Seen, Task, Turn


class QFormerFamily(InWords, PromptedFamily):
    """What BLIP-2 and InstructBLIP share: one image, its query tokens before everything else."""

    max_images = 1
    end = "</s>"
    control = ("<s>", "<pad>", "<unk>", "<image>")
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "vision_model",
        "connector": "qformer",
        "language": "language_model",
    }

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """As the processor does it; itself it cannot keep a user's text apart from its tokens."""
        import torch

        tokenizer = processor.tokenizer
        image = [tokenizer.convert_tokens_to_ids(str(processor.image_token))] * processor.num_query_tokens
        ids = torch.tensor([image * len(pictures) + framed(tokenizer, prompt)])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if pictures:
            images = [picture.pixels for picture in pictures]
            inputs["pixel_values"] = processor.image_processor(images, return_tensors="pt")["pixel_values"]
        return inputs

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        if not pictures:
            return Seen()
        height, width = inputs["pixel_values"].shape[-2:]
        return Seen(size=(int(width), int(height)), visual_tokens=processor.num_query_tokens)

    def append_answer(self, processor: Any, inputs: dict[str, Any], text: str, *, labelled: bool) -> None:
        """Behind a space for OPT and Vicuna; Flan-T5 writes it with its decoder."""
        import torch

        tokenizer = processor.tokenizer
        if not type(tokenizer).__name__.startswith("T5"):
            append(inputs, token_ids(tokenizer, f" {text.lstrip()}"), labelled=labelled)
            return
        ids = token_ids(tokenizer, text)
        if labelled:
            inputs["labels"] = torch.tensor([ids])
        else:
            inputs["decoder_input_ids"] = torch.tensor([[tokenizer.pad_token_id, *ids]])


class Blip2(QFormerFamily):
    name = "blip2"
    title = "BLIP-2"
    native = "Blip2ForConditionalGeneration"
    model_types = frozenset({"blip-2"})
    servers = ("vLLM",)
    prompts: ClassVar[Mapping[Task, str]] = {Task.CAPTION: "a photo of"}
    tasks = frozenset({Task.CHAT, Task.CAPTION})

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        *before, last = [turn.text.strip() for turn in turns if turn.role is not Role.SYSTEM]
        if not last.endswith("?"):
            return last
        dialogue = [
            f"Question: {question} Answer: {answer.removesuffix(self.end).rstrip('.')}."
            for question, answer in zip(before[0::2], before[1::2], strict=False)
        ]
        return " ".join([*dialogue, f"Question: {last} Answer:"])


def framed(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text, with those that the tokenizer puts before and behind every text."""
    ids = list(tokenizer(text, add_special_tokens=False, sanitize_control_tokens=True)["input_ids"])
    bare = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    start = next(start for start in range(len(whole)) if whole[start : start + len(bare)] == bare)
    return whole[:start] + ids + whole[start + len(bare) :]


def remarked(tokenizer: Any, text: str) -> str:
    """`text` marked anew for another tokenizer, whose control tokens differ."""
    return marked(text, tuple(tokenizer.added_tokens_encoder))


FAMILY = Blip2()
