"""The tiny checkpoints of `tests/families/checkpoints`, made larger by their configs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.families import checkpoints
from vlm_app.types import Checkpoint

# Widths grow together with the number of heads, so that a head and its positions stay as they are.
_WIDTHS = frozenset(
    "hidden_size intermediate_size num_attention_heads num_key_value_heads attention_heads num_heads d_model "
    "encoder_attention_heads decoder_attention_heads encoder_ffn_dim decoder_ffn_dim ffn_dim projection_dim "
    "out_hidden_size vision_output_dim embed_dim word_embed_proj_dim encoder_hidden_size mlp_dim "
    "output_channels".split()
)


@cache
def scaled(family: str, times: int = 8) -> Checkpoint:
    """The row of a checkpoint with random weights, `times` as wide: of some tens of megabytes in bf16."""
    import torch
    from transformers import AutoModelForImageTextToText

    processor, config = import_module(f"{checkpoints.__name__}.{family}").build()
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(
        type(config).from_dict(_grown(config.to_dict(), times)), dtype=torch.bfloat16
    )
    folder = Path(mkdtemp(prefix=f"scaled-{family}-"))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return replace(checkpoints.row(family), id=f"scaled-{family}", source=str(folder))


def _grown(table: dict[str, Any], times: int) -> dict[str, Any]:
    grown = dict(table)
    for key, value in table.items():
        if isinstance(value, dict):
            grown[key] = _grown(value, times)
        elif key in _WIDTHS and value is not None:
            grown[key] = (
                [each * times for each in value] if isinstance(value, list | tuple) else value * times
            )
    return grown
