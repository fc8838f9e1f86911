"""The peft side of adapters: putting LoRA layers around a model's own, and taking them off again."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import ModelUnavailable

if TYPE_CHECKING:
    from vlm_app.engine.adapters import Adapter

_log = logging.getLogger(__name__)
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_HARMLESS_STARTS = (True, False, "gaussian", "eva", "orthogonal")  # all others change the base's weights
_CHANGE_THE_BASE: dict[str, Any] = {  # settings that reach beyond layers beside the base's, when not these
    "bias": "none",
    "trainable_token_indices": None,
    "layer_replication": None,
    "alora_invocation_tokens": None,
    "arrow_config": None,
    "megatron_config": None,
}


def read_json(folder: Path, file: str) -> dict[str, Any]:
    try:
        read = json.loads((folder / file).read_text(encoding="utf-8"))
    except OSError:
        raise damaged(folder.name, f"the file {file}", "none that can be opened") from None
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise damaged(folder.name, f"an object of JSON in {file}", "something else")
    return read


def damaged(name: str, expected: str, found: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The adapter {name} cannot be used: expected {expected}, found {found}; put its files back or "
        "choose another adapter."
    )


def switch(model: Any, key: str | None) -> None:
    """Switch one adapter on, and all others off."""
    for _, layer in _layers(model):
        held = key is not None and key in _held(layer)
        layer.set_adapter([key] if held else [], inference_mode=True)
        layer._disable_adapters = not held  # `enable_adapters` would ask for gradients as well


def _layers(model: Any) -> list[tuple[str, Any]]:
    """The modules that adapters have put around the base's own, by name."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    wrappers = (BaseTunerLayer, ModulesToSaveWrapper)
    return [(name, module) for name, module in model.named_modules() if isinstance(module, wrappers)]


def _held(layer: Any) -> Any:
    """The adapters of a wrapper: LoRA's layers keep a rank for each, the others a whole module."""
    return layer.modules_to_save if hasattr(layer, "original_module") else layer.r


def take_off(model: Any, key: str) -> None:
    """Delete an adapter; a wrapper without any gives way to the module that it was put around."""
    for name, layer in reversed(_layers(model)):  # wrappers may lie in one another
        if key in layer.active_adapters:
            layer.set_adapter([])
        if hasattr(layer, "original_module"):
            layer.delete_adapter(key, new_active_adapters=None)
            inner = layer.original_module
        else:
            layer.delete_adapter(key)
            inner = layer.base_layer
        if not _held(layer):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, inner)


def attach(loaded: LoadedModel, adapter: Adapter, key: str) -> None:
    """Put an adapter on the base; a failure leaves the base as it was."""
    config, weights = _config(adapter), _tensors(adapter, loaded)
    model, problem = loaded.model, ""
    try:
        problem = _misfit(model, config, weights) or _inject(model, key, config, weights)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):  # what peft and torch say
        _log.warning("Attaching %s to %s failed", adapter.id, loaded.checkpoint.id, exc_info=True)
        problem = "weights of other shapes or names than its own"
    if problem:
        vars(model).pop("peft_config", None)
        take_off(model, key)
        raise ModelUnavailable(
            f"The adapter {adapter.name} cannot be attached to {loaded.checkpoint.name} in "
            f"{loaded.precision}: it brings {problem}; choose another adapter, or its own base."
        )
    model.eval()  # what was added begins in training: it would drop values at random


def _config(adapter: Adapter) -> Any:
    """Its settings. Raises `ModelUnavailable` where they ask for more than layers beside the base's."""
    from peft import LoraConfig

    read = read_json(adapter.folder, CONFIG)
    if read.get("peft_type") != "LORA":
        raise damaged(adapter.name, "an adapter of type LORA", str(read.get("peft_type")))
    start = read.get("init_lora_weights", True)
    if start not in _HARMLESS_STARTS:
        raise damaged(adapter.name, "plain LoRA weights, as peft converts them when it saves", f"'{start}'")
    for name, harmless in _CHANGE_THE_BASE.items():
        if read.get(name) not in (harmless, None):
            raise damaged(adapter.name, f"{name} to be {harmless or 'empty'}", f"'{read[name]}'")
    known = LoraConfig.__dataclass_fields__
    try:
        config = LoraConfig(**{name: value for name, value in read.items() if name in known})
    except (TypeError, ValueError):
        raise damaged(adapter.name, f"LoRA's settings in {CONFIG}", "values that peft refuses") from None
    config.inference_mode, config.init_lora_weights = True, True
    return config


def _tensors(adapter: Adapter, loaded: LoadedModel) -> dict[str, Any]:
    """Its weights by name, on the model's device, in the numbers that the model computes with."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        read = load_file(adapter.folder / WEIGHTS, device=loaded.device)
    except (OSError, SafetensorError):
        raise damaged(adapter.name, f"whole weights in {WEIGHTS}", "none or a part of them") from None
    dtype = loaded.model.dtype
    # peft finds whole modules of a bare model only without the prefix that it saves.
    names = {name: name if ".lora_" in name else name.removeprefix("base_model.model.") for name in read}
    return {
        names[name]: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in read.items()
    }


def _misfit(model: Any, config: Any, weights: dict[str, Any]) -> str:
    """What can be seen to go wrong before anything is changed; '' for nothing."""
    whole = config.modules_to_save or ()
    for name in weights:
        if ".lora_" not in name and not any(f".{module}." in name for module in whole):
            return f"weights that replace the base's own ({name})"
    if any(parameter.is_meta for parameter in model.parameters()):
        return "weights for a base that is wholly in memory, and a part of this one is offloaded"
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in whole and any(_quantized(part) for part in module.modules()):
            return f"a whole module ({name}) for a base that is not quantized"
    return ""


def _quantized(module: Any) -> bool:
    return type(module).__module__.startswith("bitsandbytes.")


def _inject(model: Any, key: str, config: Any, weights: dict[str, Any]) -> str:
    """Put the layers in and fill them; what does not fit, or ''."""
    from peft import inject_adapter_in_model, set_peft_model_state_dict
    from peft.tuners.tuners_utils import NoMatchingPeftModuleError
    from torch.nn import MultiheadAttention

    try:  # empty layers: random numbers would cost more time than the file's
        inject_adapter_in_model(config, model, key, low_cpu_mem_usage=True)
    except NoMatchingPeftModuleError:
        return f"weights for modules that the base does not have ({_targets(config)})"
    mine = [(name, layer) for name, layer in _layers(model) if key in _held(layer)]
    if any(isinstance(getattr(layer, "base_layer", None), MultiheadAttention) for _, layer in mine):
        return "weights for attention in one piece, which peft cannot switch off exactly"
    for module in config.modules_to_save or ():
        if not any(name.rpartition(".")[2] == module for name, _ in mine):
            return f"a module that the base does not have ({module})"
    told = set_peft_model_state_dict(model, weights, key, low_cpu_mem_usage=True)
    del model.peft_config  # each adapter's settings are on its layers; peft warns of it at the next
    if told.unexpected_keys:
        return f"weights for modules that the base does not have ({told.unexpected_keys[0]})"
    if missing := [name for name in told.missing_keys if f".{key}." in name or name.endswith(key)]:
        return f"no weights for {missing[0].split('.lora_')[0]}, which its settings name"
    return ""


def _targets(config: Any) -> str:
    targets = config.target_modules
    return targets if isinstance(targets, str) else ", ".join(sorted(targets or ()))
