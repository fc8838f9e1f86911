"""LLaVA-OneVision (Li et al., 2024): SigLIP, Qwen2; one image in tiles, several images and video.

One image is a small copy and up to 36 tiles of 384 pixels (`anyres_max_9` halves what is
too much); several are seen as one tile each, as the paper does. Chat in words; the paper
shows no boxes for images that are not marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import clips
from vlm_app.families.llava_next import tiled
from vlm_app.families.words import READS, TemplatedInWords, count, last_run
from vlm_app.types import Clip, Picture, Seen, Task, Turn


class LlavaOnevision(TemplatedInWords):
    name = "llava_onevision"
    title = "LLaVA-OneVision"
    native = "LlavaOnevisionForConditionalGeneration"
    model_types = frozenset({"llava_onevision"})
    servers = ("vLLM",)
    video = True
    native_video = True
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "<|im_end|>"
    control = ("<|im_start|>", "<|endoftext|>", "<image>", "<video>")
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        if len(pictures) == 1:
            return tiled(processor, pictures, inputs)
        height, width = inputs["pixel_values"].shape[-2:]
        every = count(inputs, processor.image_token_id)  # all of the same length
        return Seen(size=(int(width), int(height)), visual_tokens=every // len(pictures))

    def takes(self, turns: Sequence[Turn]) -> bool:
        """The frames of all clips become one tensor."""
        return super().takes(turns) and len({len(clip.frames) for clip in clips(turns)}) == 1

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values_videos"].shape[-2:]
        return Seen(size=(int(width), int(height)), visual_tokens=last_run(inputs, processor.video_token_id))


FAMILY = LlavaOnevision()
