"""The shapes of a checkpoint that decide how much memory it takes, read from its empty module tree.

transformers builds the tree on the meta device, where tensors have shapes and no memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_app.engine.libraries import import_transformers

BLOCK = 64  # numbers of a matrix that share a constant in nf4
_ABSMAX_BLOCK = 256  # such constants that share one of their own: the double quantization
_CODES = 4 * (16 + 256 + 1)  # bytes of the tables of one nf4 matrix: both codes and an offset
_VISION = re.compile(r"\b(vision|visual|sam_)\w*")  # what families call their vision towers
_LAYER = re.compile(r"\b(layers?|blocks?|h)\.\d+")  # of a stack; what joins two towers sees few tokens
_FP32 = 4


@dataclass(frozen=True, slots=True)
class Weights:
    """The numbers of a model, by what a precision makes of them.

    `plain` ones have the precision of the answers, of which `soft` stay in fp32 where
    that is fp16; `linear` ones are quantized, `rows` outputs and `packed` bytes of nf4 in
    all, `largest` numbers in one matrix. `fixed` is in bytes.
    """

    plain: int
    soft: int
    fixed: int
    linear: int
    rows: int
    packed: int
    largest: int

    def bytes(self, precision: str, base: str) -> int:
        """In a precision; `base` is the one of what int8 and nf4 leave as it is."""
        kept = precision if precision in ("bf16", "fp16", "fp32") else base
        size = element(kept)
        rest = self.plain * size + self.fixed + (self.soft * (_FP32 - size) if kept == "fp16" else 0)
        if precision == "int8":
            return rest + self.linear + self.rows * _FP32
        if precision == "nf4":
            return rest + self.packed
        return rest + self.linear * size


@dataclass(frozen=True, slots=True)
class Tower:
    """A stack of blocks as tokens pass through it; all but `heads` are numbers for one token.

    `wide` are alive at once inside the widest block, `inner` is the width of its largest
    layer and `matrix` the numbers of that one; `kept` is what all layers leave behind.
    `heads` write out their attention scores, over a `window` of tokens (0: over all).
    """

    wide: int = 0
    inner: int = 0
    matrix: int = 0
    kept: int = 0
    heads: int = 0
    window: int = 0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What memory hangs on. `cache` holds (numbers a token, window) of each layer; a window of 0 is none."""

    weights: Weights
    language: Tower
    vision: Tower
    cache: tuple[tuple[int, int], ...]
    crossing: int  # numbers of the cache for each patch of an image
    vocabulary: int
    every_logit: bool  # whether the prompt's tokens get logits too
    hidden: int
    patch: int  # pixels of a side; of a pyramid of stages those of the first
    frames: int  # that a patch holds
    context: int  # tokens; 0: unknown
    family: str  # its model type


def element(precision: str) -> int:
    """Bytes of one number."""
    return _FP32 if precision == "fp32" else 2


def build(folder: Path, dtype: str = "bfloat16") -> Any:
    """The empty model of a folder's config. Raises what transformers raises on a config."""
    import_transformers()
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(
            config, dtype=getattr(torch, dtype), trust_remote_code=False
        )
    model.tie_weights()
    return model


def anatomy(model: Any) -> Anatomy:
    """What an empty model says."""
    config = model.config
    text = config.get_text_config()
    vision = getattr(config, "vision_config", None)
    layers, crossing = _cache(config, text)
    coder = bool(getattr(text, "is_encoder_decoder", False) or config.is_encoder_decoder)
    patch = _patch(config, vision)
    return Anatomy(
        weights=_weights(model),
        language=_tower(model, text, of_vision=False, stages=False),
        vision=_tower(model, vision, of_vision=True, stages=isinstance(patch, tuple)),
        cache=layers,
        crossing=crossing,
        vocabulary=int(getattr(text, "vocab_size", 0) or 0),
        every_logit=not coder and not _last_logit_only(model),
        hidden=int(text.hidden_size),
        patch=patch[0] if isinstance(patch, tuple) else patch,
        frames=int(getattr(vision, "temporal_patch_size", 1) or 1),
        context=int(getattr(text, "max_position_embeddings", 0) or 0),
        family=str(config.model_type),
    )


# --- weights ------------------------------------------------------------------------------


def converted(model: Any) -> Iterator[tuple[str, Any]]:
    """The matrices that bitsandbytes would quantize, by transformers' own rules for what it leaves."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    left = HfQuantizer.get_modules_to_not_convert(model, None, model._keep_in_fp32_modules)
    for name, module in model.named_modules():
        if (type(module) is nn.Linear or isinstance(module, Conv1D)) and should_convert_module(name, left):
            yield name, module


def packed(numbers: int) -> int:
    """Bytes of a matrix in nf4 with double quantization (arXiv:2305.14314, section 3)."""
    constants = math.ceil(numbers / BLOCK)
    return math.ceil(numbers / 2) + constants + _FP32 * math.ceil(constants / _ABSMAX_BLOCK) + _CODES


def _weights(model: Any) -> Weights:
    import torch

    matrices = [module.weight for _, module in converted(model)]
    quantized = {id(matrix) for matrix in matrices}
    softly = re.compile("|".join(map(re.escape, model._keep_in_fp32_modules)) or r"\Z.")
    strictly = re.compile("|".join(map(re.escape, model._keep_in_fp32_modules_strict)) or r"\Z.")
    plain = soft = fixed = 0
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):  # tied ones once
        if id(tensor) in quantized:
            continue
        if tensor.dtype != torch.bfloat16:  # of its own accord, whatever it is built in
            fixed += tensor.nbytes
        elif strictly.search(name):
            fixed += tensor.numel() * _FP32
        else:
            plain += tensor.numel()
            soft += tensor.numel() if softly.search(name) else 0
    sizes = [matrix.numel() for matrix in matrices]
    return Weights(
        plain=plain,
        soft=soft,
        fixed=fixed,
        linear=sum(sizes),
        rows=sum(matrix.shape[0] for matrix in matrices),
        packed=sum(map(packed, sizes)),
        largest=max(sizes, default=0),
    )


# --- what passes through ------------------------------------------------------------------


def _tower(model: Any, config: Any, *, of_vision: bool, stages: bool) -> Tower:
    """A pyramid of `stages` is widest in its last one, where few tokens are left; its first one counts."""
    blocks = [
        _block(widths)
        for name, widths in _widths(model)
        if _LAYER.search(name) and bool(_VISION.search(name)) is of_vision
    ]
    if not blocks or config is None:
        return Tower()
    wide, inner, matrix = min(max(blocks[:2]), max(blocks)) if stages else max(blocks)
    hidden = int(getattr(config, "hidden_size", 0) or 0)
    experts, each = (
        getattr(config, name, 0) or 0 for name in ("num_experts_per_tok", "moe_intermediate_size")
    )
    # Experts are one tensor each, not linear layers.
    wide = max(wide, 3 * experts * each + 3 * hidden)
    # Towers whose features come from an inner layer hand out those of all layers.
    depth = int(getattr(config, "num_hidden_layers", 0) or getattr(config, "depth", 0) or 0)
    inner_layer = of_vision and getattr(model.config, "vision_feature_layer", None) is not None
    heads, window = _written(model, config, of_vision)
    return Tower(wide, inner, matrix, hidden * (depth + 1) if inner_layer else 0, heads, window)


def _widths(model: Any) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """(in, out) of the linear layers that stand side by side, by the name of what holds them."""
    from torch import nn

    for name, module in model.named_modules():
        widths = [
            (child.in_features, child.out_features)
            for child in module.children()
            if isinstance(child, nn.Linear)
        ]
        if widths:
            yield name, widths


def _block(widths: list[tuple[int, int]]) -> tuple[int, int, int]:
    """(numbers alive at once for a token, inner width, largest matrix) of linear layers side by side.

    Around them the stack keeps its input, the residual and the normed input. A gated MLP
    holds what its gate let through, what it is multiplied with, and the product; a plain
    one the values before and after its activation. Attention holds queries, keys and
    values, those that were turned by their position, copies for the cache, and its output.
    """
    hidden, inner = widths[0]
    matrix = max(into * out for into, out in widths)
    if (inner, hidden) in widths and (len(widths) == 3 or (len(widths) == 2 and inner >= hidden)):
        return (3 if len(widths) == 3 else 2) * inner + 3 * hidden, inner, matrix
    into = widths[:3] if len(widths) > 2 else widths[:1]  # the last one leads out again
    return round(2.5 * sum(out for _, out in into)) + 3 * hidden, max(out for _, out in into), matrix


def _written(model: Any, config: Any, of_vision: bool) -> tuple[int, int]:
    """Heads whose scores are written out, and over how many tokens: see `Tower`.

    Eager attention does it, and SAM's encoder, which adds relative positions to them; its
    layers look at windows but for those of `global_attn_indexes`.
    """
    relative = of_vision and any(name.endswith("rel_pos_h") for name, _ in model.named_parameters())
    if config._attn_implementation != "eager" and not relative:
        return 0, 0
    heads = _first_of(config, "num_attention_heads", "num_heads")
    windowed = relative and not getattr(config, "global_attn_indexes", None)
    return heads, _first_of(config, "window_size") ** 2 if windowed else 0


def _last_logit_only(model: Any) -> bool:
    import inspect

    return "logits_to_keep" in inspect.signature(type(model).forward).parameters


# --- the cache, and patches ---------------------------------------------------------------


def _cache(config: Any, text: Any) -> tuple[tuple[tuple[int, int], ...], int]:
    """Keys and values of every layer, and of the layers that look at the patches themselves."""
    heads = _first_of(
        text, "num_key_value_heads", "decoder_attention_heads", "num_attention_heads", "num_heads"
    )
    width = _first_of(text, "head_dim", "d_kv") or text.hidden_size // _first_of(
        text, "num_attention_heads", "decoder_attention_heads", "num_heads"
    )
    count = _first_of(text, "decoder_layers", "num_decoder_layers", "num_hidden_layers", "layers")
    each = 2 * heads * width
    kinds: list[str] = list(getattr(text, "layer_types", None) or ["full_attention"] * count)
    crossing = set(getattr(text, "cross_attention_layers", None) or ())
    window = int(getattr(text, "sliding_window", 0) or 0)
    layers = tuple(
        (each, window if kind == "sliding_attention" else 0)
        for number, kind in enumerate(kinds)
        if kind in ("full_attention", "sliding_attention") and number not in crossing
    )
    return layers, each * len(crossing)


def _first_of(config: Any, *names: str) -> int:
    return next((int(value) for name in names if (value := getattr(config, name, None))), 0)


def _patch(config: Any, vision: Any) -> int | tuple[int, ...]:
    """Pixels of a patch's side; of a pyramid the steps of its stages."""
    if strides := getattr(vision, "patch_stride", None):
        return tuple(strides)
    found = _search(vision.to_dict() if vision is not None else {}) or getattr(config, "patch_size", None)
    return int(found[0] if isinstance(found, list | tuple) else found or 14)


def _search(table: Mapping[str, Any]) -> Any:
    if table.get("patch_size"):
        return table["patch_size"]
    inner = (_search(value) for value in table.values() if isinstance(value, dict))
    return next(filter(None, inner), None)
