"""The fold 'Settings' and its way to and from `ChatSettings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.chat import ChatSettings
from vlm_app.errors import BadInput
from vlm_app.types import Checkpoint, Sampling, Task
from vlm_app.ui import model_bar
from vlm_app.ui.steady import steady
from vlm_app.ui.verdicts import PRECISIONS, choice

if TYPE_CHECKING:
    from vlm_app.engine.adapters import Adapter
    from vlm_app.engine.memory import Fit

BASE = ("none", "")  # of the adapters
LIMITS = (16, 4096)  # tokens
MOST_PIXELS = 4  # millions


@dataclass(frozen=True)
class Choices:
    """What can be chosen for a model: precisions with their verdicts, adapters that fit it."""

    fits: Mapping[str, Fit | None] = field(default_factory=dict)
    adapters: Sequence[Adapter] = ()
    remote: bool = False  # on a server, which has a precision of its own

    @property
    def of_precision(self) -> list[tuple[str, str]]:
        return [(choice(each, self.fits.get(each)), each) for each in PRECISIONS]

    @property
    def of_adapter(self) -> list[tuple[str, str]]:
        return [BASE, *((each.name, each.id) for each in self.adapters)]


@dataclass(frozen=True)
class SettingsPanel:
    """The components of the fold; `fields` are a listener's inputs, in the order of `read`."""

    fold: gr.Accordion
    precision: gr.Dropdown
    adapter: gr.Dropdown  # an id; empty for the model as it is
    card: gr.HTML  # what is known of it
    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    limit: gr.Slider
    seed: gr.Number
    pixels: gr.Slider  # in millions; 0 stands for no budget

    @classmethod
    def build(cls, checkpoint: Checkpoint) -> SettingsPanel:
        """Draws the fold where it is called, for the model that is chosen."""
        with gr.Accordion("Settings", open=False, elem_id="settings") as fold:
            return cls(
                fold=fold,
                precision=gr.Dropdown(
                    Choices().of_precision, value="auto", label="Precision", elem_id="precision",
                    info="Fewer bits take less memory; auto is the best that fits", filterable=False,
                ),
                adapter=gr.Dropdown(
                    Choices().of_adapter, value="", label="Adapter", elem_id="adapter", visible=False,
                    info="What was learned on top of the model", filterable=False,
                ),
                card=steady(elem_id="adapter-card"),
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
        sampling = [self.temperature, self.top_p, self.limit, self.seed]
        return [self.system, *sampling, self.pixels, self.precision, self.adapter]

    def read(self, model: str, task: str, values: tuple[Any, ...]) -> ChatSettings:
        """Settings of the values that a listener got; a task that the model cannot do is one that it can.
        Raises BadInput where they are impossible."""
        system, temperature, top_p, limit, seed, millions, precision, adapter = values
        checkpoint = catalog().get(model)
        if checkpoint and checkpoint.server:  # it has its own
            precision, adapter = "auto", None
        budget = round((millions or 0) * 1e6) if checkpoint and has_budget(checkpoint) else 0
        try:
            sampling = Sampling(temperature, top_p, int(limit), None if seed is None else int(seed))
            return ChatSettings(
                model,
                system or "",
                sampling,
                model_bar.task_of(checkpoint, Task(task)) if checkpoint else Task(task),
                budget or None,
                precision or "auto",
                adapter or None,
            )
        except (TypeError, ValueError) as error:
            raise BadInput(f"These settings cannot be used: {error}.") from error

    def show(self, settings: ChatSettings, choices: Choices) -> dict[gr.components.Component, Any]:
        """Updates that show the settings of a chat."""
        sampling = settings.sampling
        checkpoint = catalog().get(settings.model)
        millions = min((settings.pixels or 0) / 1e6, MOST_PIXELS)
        known = settings.adapter in {each.id for each in choices.adapters}
        return {
            self.system: settings.system,
            self.temperature: sampling.temperature,
            self.top_p: sampling.top_p,
            self.limit: sampling.max_tokens,
            self.seed: sampling.seed,
            self.pixels: gr.update(value=millions, visible=checkpoint is not None and has_budget(checkpoint)),
            **self._pickers(choices, settings.precision, settings.adapter if known else ""),
        }

    @property
    def offered(self) -> list[gr.components.Component]:
        """What `offer` updates."""
        return [self.pixels, self.precision, self.adapter]

    def offer(self, checkpoint: Checkpoint, choices: Choices) -> dict[gr.components.Component, Any]:
        """Updates that show what this model can be given. Another model has other adapters."""
        return {self.pixels: gr.update(visible=has_budget(checkpoint))} | self._pickers(choices, None, "")

    def _pickers(
        self, choices: Choices, precision: str | None, adapter: str | None
    ) -> dict[gr.components.Component, Any]:
        chosen = {} if precision is None else {"value": precision}
        return {
            self.precision: gr.update(choices=choices.of_precision, visible=not choices.remote, **chosen),
            self.adapter: gr.update(
                choices=choices.of_adapter, value=adapter or "", visible=bool(choices.adapters)
            ),
        }


def has_budget(checkpoint: Checkpoint) -> bool:
    """Whether the pixels that this model sees of an image can be chosen."""
    return checkpoint.family in families.names() and families.get(checkpoint.family).pixel_budget
