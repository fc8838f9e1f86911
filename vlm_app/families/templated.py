"""Encoding for families whose processor brings a chat template.

The prompt is the template's own rendering. Two kinds of text meet in it: what a user
typed, in which `<image>` or `<loc_3>` are just characters, and what the same model wrote
before, whose markup must be its tokens again. So a user's text has every added token
marked as text, an assistant's all but the family's own markup, and the processor encodes
what is marked piece by piece as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

from vlm_app.families.base import Family
from vlm_app.types import Clip, Part, Picture, Role, Seen, Task, Turn

# transformers drops these marks, and joins nothing over them.
_START, _END = "\U000f0000", "\U000f0001"
_NOTHING = re.compile("(?!)")
_LOOKS = ("cross_attention_mask", "image_attention_mask")  # which image a token may look at


class TemplatedFamily(Family):
    """A family whose processor renders, expands and encodes a conversation."""

    markup: ClassVar[re.Pattern[str]] = re.compile("(?!)")  # tokens that an assistant may write

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """Options of the image processor for a budget of pixels."""
        return {}

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        """What the model sees of the last of `pictures`."""
        return Seen()

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """The processor's inputs for a prompt; families whose processor differs write their own."""
        return encoded(processor, prompt, pictures, options)

    def clip_options(self, processor: Any, pixels: int | None, clip: Clip) -> dict[str, Any]:
        """Options of the video processor for a budget of pixels of one frame."""
        return {}

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        """What the model sees of the last clip, where nothing visual comes behind it."""
        return Seen()

    def process_clips(
        self,
        processor: Any,
        prompt: str,
        pictures: Sequence[Picture],
        clips: Sequence[Clip],
        options: dict[str, Any],
        clip_options: dict[str, Any],
    ) -> dict[str, Any]:
        """The processor's inputs for a prompt with at least one clip."""
        return encoded(processor, prompt, pictures, options, videos(clips, clip_options))

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
        visual = [part for turn in turns for part in turn.parts if not isinstance(part, str)]
        pictures = [part for part in visual if isinstance(part, Picture)]
        clips = [part for part in visual if isinstance(part, Clip)]
        options = self.image_options(processor, pixels)
        prompt = self._render(processor, turns)
        if clips:
            clip_options = self.clip_options(processor, pixels, clips[-1])
            inputs = self.process_clips(processor, prompt, pictures, clips, options, clip_options)
        else:
            inputs = self.process(processor, prompt, pictures, options)
        if answer is not None:
            append(inputs, self._answer_ids(processor, turns, prompt, answer, closed=True), labelled=True)
        elif started:
            append(inputs, self._answer_ids(processor, turns, prompt, started, closed=False), labelled=False)
        if visual and isinstance(visual[-1], Clip):
            return inputs, self.seen_clip(processor, visual[-1], inputs)
        return inputs, self.seen(processor, pictures, options)

    def _render(self, processor: Any, turns: Sequence[Turn], prompt: bool = True) -> str:
        messages = [self._message(processor, turn) for turn in turns]
        return str(processor.apply_chat_template(messages, add_generation_prompt=prompt, tokenize=False))

    def _message(self, processor: Any, turn: Turn) -> dict[str, Any]:
        content: list[dict[str, str]] = []
        before: Part = ""
        for part in turn.parts or ("",):
            if isinstance(part, Picture):
                content.append({"type": "image"})
            elif isinstance(part, Clip):
                content.append({"type": "video"})
            else:
                joint = "\n" if content and isinstance(before, str) else ""
                content.append({"type": "text", "text": joint + self._marked(processor, part, turn.role)})
            before = part
        return {"role": turn.role.value, "content": content}

    def _marked(self, processor: Any, text: str, role: Role) -> str:
        """`text` with every control token marked that its author may not write."""
        tokens = control_tokens(processor)
        if role is not Role.ASSISTANT:
            return marked(text, tokens)
        foreign = tuple(token for token in tokens if not self.markup.fullmatch(token))
        return marked(self.open(text).strip(), foreign)

    def _answer_ids(
        self, processor: Any, turns: Sequence[Turn], prompt: str, text: str, *, closed: bool
    ) -> list[int]:
        """The tokens of an answer after its prompt: to its end token, or open.

        Encoded apart from the prompt, as they are generated: the prompt's tokens are the
        same in chat and in training.
        """
        body = self.open(text).lstrip()
        tail = body[len(body.rstrip()) :]  # an open answer may stop behind a space
        marked_body = self._marked(processor, body, Role.ASSISTANT)
        whole = self._render(processor, [*turns, Turn(Role.ASSISTANT, (body,))], prompt=False)
        # Some templates begin an answer in the past otherwise than the one to come, some write no end.
        rendered = whole.removeprefix(prompt) if whole.startswith(prompt) else marked_body
        has_end = bool(self.end) and self.end in rendered
        rendered = rendered.rpartition(self.end)[0] if has_end else rendered.rstrip()
        rendered += self.end if closed else tail
        return token_ids(processor.tokenizer, rendered)


def control_tokens(processor: Any) -> tuple[str, ...]:
    """The tokenizer's added tokens, and the placeholders that the processor looks for in text."""
    placeholders = (getattr(processor, name, None) for name in ("image_token", "video_token"))
    return (*processor.tokenizer.added_tokens_encoder, *(str(token) for token in placeholders if token))


def marked(text: str, tokens: tuple[str, ...]) -> str:
    """`text` with each of `tokens` in it marked as plain text: broken in two by a mark.

    The mark is one of transformers' own, which its tokenizers drop. Broken rather than
    wrapped, because some processors count their placeholders in the text as it stands.
    """
    from transformers.utils.chat_template_utils import mark_control_tokens

    clean = str(mark_control_tokens(text, _NOTHING))
    pattern = _any_of(tokens)
    out, start = "", 0
    while found := pattern.search(clean, start):
        before, start = clean[start : found.start()], found.start() + 1
        single = len(found.group()) == 1  # cannot be broken
        out += before + (f"{_START}{found.group()}{_END}" if single else found.group()[0] + _END)
    return out + clean[start:]


@lru_cache(maxsize=64)
def _any_of(tokens: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern for any of these tokens, the longest first; a space is never a control token."""
    longest = sorted((token for token in tokens if not token.isspace()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest)) or "(?!)")


def encoded(
    processor: Any,
    prompt: str,
    pictures: Sequence[Picture],
    options: dict[str, Any],
    videos: dict[str, Any] | None = None,
    tensors: bool = True,
) -> dict[str, Any]:
    """The processor's own call, with what a user typed known as text."""
    images = (
        {"images": [[picture.pixels for picture in pictures]], "images_kwargs": options} if pictures else {}
    )
    return dict(
        processor(
            text=[prompt],
            **images,
            **(videos or {}),
            add_special_tokens=False,  # the template writes them
            sanitize_control_tokens=True,
            **({"return_tensors": "pt"} if tensors else {}),
        )
    )


def videos(clips: Sequence[Clip], options: dict[str, Any]) -> dict[str, Any]:
    """Clips as a processor takes them: all their frames and no others, at their own times.

    Processors write times as a frame's index over the frame rate: counted in milliseconds,
    any frame has its own. The total is such that the mean distance of the frames comes out
    right where a processor wants that.
    """
    import numpy as np

    def facts(clip: Clip) -> dict[str, Any]:
        count = len(clip.times)
        gap = (clip.times[-1] - clip.times[0]) / (count - 1) if count > 1 else 1.0
        return {
            "fps": 1000.0,
            "frames_indices": [round(1000 * time) for time in clip.times],
            "total_num_frames": max(round(1000 * gap * count), 1),
            "width": clip.frames[0].size[0],
            "height": clip.frames[0].size[1],
        }

    return {
        "videos": [np.stack([np.asarray(frame.pixels) for frame in clip.frames]) for clip in clips],
        "videos_kwargs": {
            "do_sample_frames": False,
            "video_metadata": [facts(clip) for clip in clips],
            **options,
        },
    }


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text that follows another; what is marked in it is plain text."""
    # Encoded behind a line break, which is taken away again: at the start of a text
    # SentencePiece adds a space that no model generates.
    newline, ids = (_plain_ids(tokenizer, before) for before in ("\n", "\n" + text))
    return ids[len(newline) :] if ids[: len(newline)] == newline else _plain_ids(tokenizer, text)


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, sanitize_control_tokens=True)["input_ids"])


def append(inputs: dict[str, Any], ids: list[int], *, labelled: bool) -> None:
    """Add tokens to a batch of one, in place; `labelled` ones are what is to be learned.

    What the processor says of each token of the prompt goes on with zeros: text. New
    tokens look at the images that the last one of the prompt looks at.
    """
    import torch

    more = torch.tensor([ids], dtype=inputs["input_ids"].dtype)
    shape = inputs["input_ids"].shape
    for name, value in inputs.items():
        if name not in ("input_ids", "attention_mask") and getattr(value, "shape", None) == shape:
            inputs[name] = torch.cat([value, torch.zeros_like(more, dtype=value.dtype)], dim=1)
        elif name in _LOOKS:  # tokens × images (× tiles)
            row = value[:, -1:]
            inputs[name] = torch.cat([value, row.expand(-1, len(ids), *row.shape[2:])], dim=1)
    if labelled:
        inputs["labels"] = torch.cat([torch.full_like(inputs["input_ids"], -100), more], dim=1)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
