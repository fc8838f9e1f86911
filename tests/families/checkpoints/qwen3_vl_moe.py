"""Qwen3-VL with a mixture of experts."""

from __future__ import annotations

from typing import Any

from tests.families.checkpoints import qwen3_vl

FAMILY = "qwen3_vl"


def build() -> tuple[Any, Any]:
    from transformers import Qwen3VLMoeConfig

    return qwen3_vl.of(Qwen3VLMoeConfig, moe_intermediate_size=64, num_experts=4, num_experts_per_tok=2)
