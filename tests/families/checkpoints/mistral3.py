"""Mistral Small 3.1: Pixtral with four patches merged to a token."""

from __future__ import annotations

from typing import Any

from tests.families.checkpoints import pixtral

FAMILY = "pixtral"


def build() -> tuple[Any, Any]:
    from transformers import Mistral3Config

    return pixtral.of(Mistral3Config, 2, spatial_merge_size=2)
