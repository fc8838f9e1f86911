"""The fold 'Settings' and its way to and from `ChatSettings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from vlm_app.chat import ChatSettings
from vlm_app.errors import BadInput
from vlm_app.types import Sampling, Task

LIMITS = (16, 4096)  # tokens


@dataclass(frozen=True)
class SettingsPanel:
    """The components of the fold; `fields` are a listener's inputs, in the order of `read`."""

    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    limit: gr.Slider
    seed: gr.Number

    @classmethod
    def build(cls) -> SettingsPanel:
        """Draws the fold where it is called."""
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
            )  # fmt: skip

    @property
    def fields(self) -> list[gr.components.Component]:
        return [self.system, self.temperature, self.top_p, self.limit, self.seed]

    def read(self, model: str, task: str, values: tuple[Any, ...]) -> ChatSettings:
        """Settings of the values that a listener got. Raises BadInput where they are impossible."""
        system, temperature, top_p, limit, seed = values
        try:
            sampling = Sampling(temperature, top_p, int(limit), None if seed is None else int(seed))
            return ChatSettings(model=model, system=system or "", sampling=sampling, task=Task(task))
        except (TypeError, ValueError) as error:
            raise BadInput(f"These settings cannot be used: {error}.") from error

    def show(self, settings: ChatSettings) -> dict[gr.components.Component, Any]:
        """Updates that show the settings of a chat."""
        sampling = settings.sampling
        values = (settings.system, sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed)
        return dict(zip(self.fields, values, strict=True))
