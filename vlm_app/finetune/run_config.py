"""What a run is asked to do: `config.json` in its folder, and the file of `vlm-app finetune`."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vlm_app.errors import BadInput

Tower = Literal["vision", "connector", "language"]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Stage(StrEnum):
    """What is taught, as the field has it."""

    PROJECTOR = "projector"  # alignment: the connector alone, whole
    INSTRUCTION = "instruction"  # answers to questions
    PREFERENCE = "preference"  # the right answer rather than the wrong one


class RunConfig(BaseModel):
    """The settings of one run. Whatever is left out has the value of an ordinary LoRA run.

    `towers` get LoRA layers; `rate` is the learning rate, of the vision tower and the connector
    their own where one is given. `epochs` count unless `steps` does. `patience` is how many
    evaluations may pass without a better `watch` before the run ends early; 0: never.
    `rehearsal` scenes of what the base knows are mixed in, where it has a world to draw them
    from. `adapter` is the id of one to go on from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=80)] = "My adapter"
    base: str = "pebble"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"] = "auto"
    stage: Stage = Stage.INSTRUCTION
    preference: Literal["dpo", "kto"] = "dpo"
    adapter: str | None = None

    towers: frozenset[Tower] = frozenset({"language"})
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[float, Field(gt=0)] | None = None  # None: twice the rank
    dropout: Share = 0.0
    dora: bool = False
    rslora: bool = False

    rate: Rate = 2e-4
    rate_vision: Rate | None = None
    rate_connector: Rate | None = None
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Share = 0.05  # of the steps
    epochs: Annotated[float, Field(gt=0, le=1000)] = 3.0
    steps: Annotated[int, Field(ge=1)] | None = None
    batch: Annotated[int, Field(ge=1, le=1024)] = 4
    accumulation: Annotated[int, Field(ge=1, le=1024)] = 1
    checkpointing: bool = False  # activations are computed again instead of kept: less memory, slower
    pixels: Annotated[int, Field(ge=1)] | None = None
    rehearsal: Annotated[int, Field(ge=0, le=100_000)] = 0
    beta: Annotated[float, Field(gt=0)] = 0.1  # of DPO and KTO: how far it may go from the base

    held_out: Share = 0.2  # of the images
    watch: Literal["loss", "score"] = "loss"
    patience: Annotated[int, Field(ge=0)] = 0
    evaluate_every: Annotated[int, Field(ge=1)] = 20  # steps
    save_every: Annotated[int, Field(ge=1)] = 20  # steps
    seed: Annotated[int, Field(ge=0, le=999_999)] = 0

    @classmethod
    def from_toml(cls, path: Path) -> RunConfig:
        """The settings in a file. Raises `BadInput` with the key and what is wrong with it."""
        try:
            return cls.read(tomllib.loads(path.read_text("utf-8")))
        except OSError as error:
            raise BadInput(f"The run '{path}' cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"The run '{path}' is not TOML: {error}.") from error

    @classmethod
    def read(cls, data: object) -> RunConfig:
        """The settings in plain data. Raises `BadInput` with the key and what is wrong with it."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "the file"
            raise BadInput(
                f"A run cannot be read at '{where}': {first['msg']}; change or remove it."
            ) from error
