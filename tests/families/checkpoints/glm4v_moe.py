"""GLM-4.5V: GLM-4.1V with a mixture of experts."""

from __future__ import annotations

from typing import Any

from tests.families.checkpoints import glm4v

FAMILY = "glm4v"


def build() -> tuple[Any, Any]:
    from transformers import Glm4vImageProcessor, Glm4vMoeConfig, Glm4vProcessor, Glm4vVideoProcessor

    experts = {"moe_intermediate_size": 64, "n_routed_experts": 4, "num_experts_per_tok": 2}
    return glm4v.of(Glm4vMoeConfig, Glm4vProcessor, Glm4vImageProcessor, Glm4vVideoProcessor, **experts)
