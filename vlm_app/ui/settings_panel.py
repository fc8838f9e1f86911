"""The fold 'Settings' and its way to and from `ChatSettings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.chat import ChatSettings
from vlm_app.errors import BadInput
from vlm_app.types import Checkpoint, Sampling, Task

LIMITS = (16, 4096)  # tokens
MOST_PIXELS = 4  # millions


@dataclass(frozen=True)
class SettingsPanel:
    """The components of the fold; `fields` are a listener's inputs, in the order of `read`."""

    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    limit: gr.Slider
    seed: gr.Number
    pixels: gr.Slider  # in millions; 0 stands for no budget

    @classmethod
    def build(cls, checkpoint: Checkpoint) -> SettingsPanel:
        """Draws the fold where it is called, for the model that is chosen."""
        with gr.Accordion("Settings", open=False, elem_id="settings"):
            return cls(
                system=gr.Textbox(
                    label="System prompt", lines=2, max_lines=6, placeholder="How the model should answer",
                ),
                temperature=gr.Slider(
                    0, 2, 0, step=0.05, label="Temperature", info="0 always takes the likeliest word",
                ),
                top_p=gr.Slider(
                    0.05, 1, 1, step=0.05, label="Top-p", info="Only words within this share of likelihood",
                ),
                limit=gr.Slider(*LIMITS, 512, step=16, label="Token limit", info="Longest answer, in tokens"),
                seed=gr.Number(label="Seed", value=None, precision=0, info="A number repeats its answer"),
                pixels=gr.Slider(
                    0, MOST_PIXELS, 0, step=0.05, label="Pixel budget", elem_id="pixels",
                    info="Most pixels of an image that the model sees, in millions; 0 is its own choice",
                    visible=has_budget(checkpoint),
                ),
            )  # fmt: skip

    @property
    def fields(self) -> list[gr.components.Component]:
        return [self.system, self.temperature, self.top_p, self.limit, self.seed, self.pixels]

    def read(self, model: str, task: str, values: tuple[Any, ...]) -> ChatSettings:
        """Settings of the values that a listener got. Raises BadInput where they are impossible."""
        system, temperature, top_p, limit, seed, millions = values
        checkpoint = catalog().get(model)
        budget = round((millions or 0) * 1e6) if checkpoint and has_budget(checkpoint) else 0
        try:
            sampling = Sampling(temperature, top_p, int(limit), None if seed is None else int(seed))
            return ChatSettings(model, system or "", sampling, Task(task), budget or None)
        except (TypeError, ValueError) as error:
            raise BadInput(f"These settings cannot be used: {error}.") from error

    def show(self, settings: ChatSettings) -> dict[gr.components.Component, Any]:
        """Updates that show the settings of a chat."""
        sampling = settings.sampling
        millions = min((settings.pixels or 0) / 1e6, MOST_PIXELS)
        values = (settings.system, sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed)
        checkpoint = catalog().get(settings.model)
        offered = checkpoint is not None and has_budget(checkpoint)
        shown = dict(zip(self.fields[:-1], values, strict=True))
        return shown | {self.pixels: gr.update(value=millions, visible=offered)}

    def offer(self, checkpoint: Checkpoint) -> Any:
        """An update that shows the pixel budget where the model can be given one."""
        return gr.update(visible=has_budget(checkpoint))


def has_budget(checkpoint: Checkpoint) -> bool:
    """Whether the pixels that this model sees of an image can be chosen."""
    return checkpoint.family in families.names() and families.get(checkpoint.family).pixel_budget
