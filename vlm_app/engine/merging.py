"""Merging an adapter into its base, so that what is exported answers as what was evaluated did.

Merged into a quantized base, the sum would be rounded to four or eight bits again; merged into
the original, it would lie on other weights than those that the adapter was taught on. So the
quantized weights are written out first, and the adapter is added to them in fp32.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.engine.adapters import Adapter, check, detach
from vlm_app.engine.attaching import attach
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.quantizing import OWN
from vlm_app.errors import ModelUnavailable
from vlm_app.hub.adding import FAMILY

if TYPE_CHECKING:
    from vlm_app.engine.attaching import Layer

_BYTES = 4  # of a number in fp32


def merge(loaded: LoadedModel, adapter: Adapter) -> None:
    """Put an adapter into the weights of its base, which is a plain model in fp32 from then on.

    The base may have answered before, with any adapter. Raises `BadInput` where the adapter was made
    for another base, and `ModelUnavailable` where it is damaged, or the base is quantized in a way
    that cannot be undone.
    """
    check(adapter, loaded.checkpoint)
    for id in list(loaded.warm):
        detach(loaded, id)
    _dequantize(loaded)
    layers = attach(loaded, adapter)  # in the numbers in which chat attaches it
    _check_untied(loaded.model, layers, adapter.name)
    loaded.model.float()
    for layer in layers:
        layer.around.float()
        setattr(layer.parent, layer.name.rpartition(".")[2], _sum(layer))
    loaded.precision, loaded.bytes = "fp32", size(loaded)


def save(loaded: LoadedModel, folder: Path) -> None:
    """Write a merged model and its processor into a folder, as transformers and this app load them."""
    loaded.model.save_pretrained(folder)
    loaded.processor.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8")) | {FAMILY: loaded.checkpoint.family}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def size(loaded: LoadedModel) -> int:
    """Bytes of its weights in fp32."""
    return _BYTES * sum(_count(parameter) for parameter in loaded.model.parameters())


def _count(parameter: Any) -> int:
    """The numbers in it; of four bits two are packed in a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel() if state is not None else parameter.numel())


def _dequantize(loaded: LoadedModel) -> None:
    """Write the weights of a quantized base out, in the numbers that it computed with."""
    model = loaded.model
    if getattr(model, "hf_quantizer", None) is None:
        return
    try:
        model.dequantize(dtype=model.dtype)
    except (NotImplementedError, ValueError, TypeError):
        how = loaded.precision.removeprefix(OWN).strip(" ()") or "its own way"
        raise ModelUnavailable(
            f"Nothing can be merged into {loaded.checkpoint.name}: its files are quantized by {how}, which "
            "cannot be undone; choose its unquantized original, and teach that."
        ) from None
    vars(model).pop("hf_quantizer", None)
    vars(model.config).pop("quantization_config", None)


def _check_untied(model: Any, layers: Sequence[Layer], name: str) -> None:
    """Weights that two modules share, as embeddings and the output's head do, change for both or for none."""
    count = Counter(weight.data_ptr() for _, weight in model.named_parameters(remove_duplicate=False))
    for layer in layers:
        if any(count[weight.data_ptr()] > 1 for weight in layer.own.parameters()):
            raise ModelUnavailable(
                f"The adapter {name} cannot be merged: it changes {layer.name}, whose weights the base uses "
                "in two places; use it as an adapter."
            )


def _sum(layer: Layer) -> Any:
    """The module that stands for both: the base's with the adapter added, or the one trained in its place."""
    around = layer.around
    if hasattr(around, "modules_to_save"):
        return next(iter(around.modules_to_save.values()))
    around.merge(safe_merge=True)
    return around.get_base_layer()
