"""GLM-4.6V: classes of its own around the parts of GLM-4.1V."""

from __future__ import annotations

from typing import Any

from tests.families.checkpoints import glm4v

FAMILY = "glm4v"


def build() -> tuple[Any, Any]:
    from transformers import Glm46VConfig, Glm46VImageProcessor, Glm46VProcessor, Glm46VVideoProcessor

    return glm4v.of(Glm46VConfig, Glm46VProcessor, Glm46VImageProcessor, Glm46VVideoProcessor)
