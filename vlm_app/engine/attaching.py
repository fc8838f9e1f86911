"""The peft side of adapters: building LoRA layers around a model's own, and putting them in their place.

Each adapter has layers of its own around the base's. Switching puts them into the model or
the base's back, which takes milliseconds and leaves the base itself untouched; peft's own
way keeps all adapters in one set of layers, where a further one takes a second.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.engine.libraries import import_peft
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.patterns import tame
from vlm_app.errors import ModelUnavailable

if TYPE_CHECKING:
    from vlm_app.engine.adapters import Adapter

_NAME = "default"  # of the one adapter of a layer
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


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A place in the model: what the base has there, and what an adapter has put around it."""

    name: str
    parent: Any
    own: Any
    around: Any


Layers = tuple[Layer, ...]


def read_json(folder: Path, file: str) -> dict[str, Any]:
    try:
        read = json.loads((folder / file).read_text(encoding="utf-8"))
    except OSError:
        raise damaged(folder.name, f"the file {file}", "none that can be opened") from None
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise damaged(folder.name, f"an object of JSON in {file}", "something else")
    return read


def damaged(name: str, expected: str, found: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The adapter {name} cannot be used: expected {expected}, found {found}; put its files back or "
        "choose another adapter."
    )


def attach(loaded: LoadedModel, adapter: Adapter) -> Layers:
    """Build an adapter's layers around those of a bare base, which stays as it is.

    Raises `ModelUnavailable` where the adapter is damaged or does not fit.
    """
    config, weights = _config(adapter), _tensors(adapter, loaded)
    problem = tame(config, loaded.model) or _misfit(loaded.model, config, weights)
    layers: Layers = ()
    if not problem:
        layers, problem = _built(loaded.model, config)
    problem = problem or _unfit(config, layers) or _fill(loaded.model, config, layers, weights)
    if problem:
        raise ModelUnavailable(
            f"The adapter {adapter.name} cannot be attached to {loaded.checkpoint.name} in "
            f"{loaded.precision}: it brings {problem}; choose another adapter, or its own base."
        )
    for layer in layers:
        layer.around.eval().requires_grad_(False)  # in training, as it begins, it drops values at random
    return layers


def put_on(layers: Layers) -> None:
    """Switch an adapter on: its layers take the place of the base's."""
    for layer in layers:
        setattr(layer.parent, layer.name.rpartition(".")[2], layer.around)


def put_off(layers: Layers) -> None:
    """Switch an adapter off: the base's own layers are back."""
    for layer in layers:
        setattr(layer.parent, layer.name.rpartition(".")[2], layer.own)


def _config(adapter: Adapter) -> Any:
    """Its settings. Raises `ModelUnavailable` where they ask for more than layers beside the base's."""
    import_peft()
    from peft import LoraConfig

    read = read_json(adapter.folder, CONFIG)
    check_settings(read, adapter.name)
    known = LoraConfig.__dataclass_fields__
    try:
        config = LoraConfig(**{name: value for name, value in read.items() if name in known})
    except (TypeError, ValueError):
        raise damaged(adapter.name, f"LoRA's settings in {CONFIG}", "values that peft refuses") from None
    config.inference_mode, config.init_lora_weights = True, True
    return config


def check_settings(read: dict[str, Any], name: str) -> None:
    """Refuse what is no LoRA, or reaches beyond layers beside the base's: `ModelUnavailable`."""
    if read.get("peft_type") != "LORA":
        raise damaged(name, "an adapter of type LORA", str(read.get("peft_type"))[:80])
    start = read.get("init_lora_weights", True)
    if start not in _HARMLESS_STARTS:
        raise damaged(name, "plain LoRA weights, as peft converts them when it saves", f"'{str(start)[:80]}'")
    for setting, harmless in _CHANGE_THE_BASE.items():
        if read.get(setting) not in (harmless, None):
            raise damaged(name, f"{setting} to be {harmless or 'empty'}", f"'{str(read[setting])[:80]}'")


def _tensors(adapter: Adapter, loaded: LoadedModel) -> dict[str, Any]:
    """Its weights by name, on the model's device, in the numbers that the model computes with."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        read = load_file(adapter.folder / WEIGHTS, device=loaded.device)
    except (OSError, SafetensorError):
        raise damaged(adapter.name, f"whole weights in {WEIGHTS}", "none or a part of them") from None
    dtype = loaded.model.dtype
    return {
        name.removeprefix("base_model.model."): tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in read.items()
    }


def _misfit(model: Any, config: Any, weights: dict[str, Any]) -> str:
    """What can be seen to go wrong before anything is changed; '' for nothing."""
    whole = config.modules_to_save or ()
    for name in weights:
        if ".lora_" not in name and not any(f".{module}." in f".{name}" for module in whole):
            return f"weights that replace the base's own ({name})"
    if any(parameter.is_meta for parameter in model.parameters()):
        return "weights for a base that is wholly in memory, and a part of this one is offloaded"
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in whole and any(_quantized(part) for part in module.modules()):
            return f"a whole module ({name}) for a base that is not quantized"
    return ""


def _quantized(module: Any) -> bool:
    return type(module).__module__.startswith("bitsandbytes.")


def _built(model: Any, config: Any) -> tuple[Layers, str]:
    """The layers, off the model again, and what went wrong. Their weights have no numbers yet."""
    import torch
    from peft import inject_adapter_in_model
    from peft.tuners.tuners_utils import NoMatchingPeftModuleError
    from torch.overrides import TorchFunctionMode

    class Unfilled(TorchFunctionMode):  # random numbers would take longer than the file's
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.nn.init.kaiming_uniform_:
                return (args or (kwargs["tensor"],))[0]
            return func(*args, **(kwargs or {}))

    before = dict(model.named_modules())
    layers: Layers = ()
    try:
        # In this thread only: peft's own `low_cpu_mem_usage` changes torch for all of them.
        with torch.device("meta"), Unfilled(), _uncollected():
            inject_adapter_in_model(config, model, _NAME)
    except NoMatchingPeftModuleError:
        targets = config.target_modules
        named = targets if isinstance(targets, str) else ", ".join(sorted(targets or ()))
        return (), f"weights for modules that the base does not have ({named})"
    except (TypeError, ValueError) as error:  # peft refuses a kind of module, or a setting for it
        return (), f"layers that peft cannot build ({str(error).splitlines()[0].rstrip('.')})"
    finally:  # whatever happened, the base gets its own modules back
        vars(model).pop("peft_config", None)
        layers = _changed(before)
        put_off(layers)
    return layers, ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: so many new objects start one, which takes longer than all else."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _changed(before: dict[str, Any]) -> Layers:
    """The places at which another module stands than before."""
    layers = []
    for name, own in before.items():
        path, _, child = name.rpartition(".")
        parent = before[path]
        if name and (around := getattr(parent, child)) is not own:
            layers.append(Layer(name, parent, own, around))
    return tuple(layers)


def _unfit(config: Any, layers: Layers) -> str:
    """What can be seen of the layers before they have weights; '' for nothing."""
    from torch.nn import MultiheadAttention

    if any(isinstance(layer.own, MultiheadAttention) for layer in layers):
        return "weights for attention in one piece, into which peft would write while it answers"
    names = {layer.name.rpartition(".")[2] for layer in layers}
    lacking = [module for module in config.modules_to_save or () if module.rpartition(".")[2] not in names]
    return f"a module that the base does not have ({lacking[0]})" if lacking else ""


def _fill(model: Any, config: Any, layers: Layers, weights: dict[str, Any]) -> str:
    """Give the layers their weights; what is too much, missing or of another shape, or ''."""
    from torch.nn import Parameter

    places = {name: place for layer in layers for name, place in _places(layer)}
    if places.keys() != weights.keys():
        weights = _renamed(model, config, weights)
    if extra := sorted(weights.keys() - places.keys()):
        return f"weights for modules that the base does not have ({extra[0]})"
    if missing := sorted(places.keys() - weights.keys()):
        return f"settings for a module without its weights ({missing[0]})"
    for name, (module, child, device) in places.items():
        shape, found = tuple(getattr(module, child).shape), tuple(weights[name].shape)
        if shape != found:
            return f"weights of other shapes ({found} where its settings say {shape}, for {name})"
        setattr(module, child, Parameter(weights[name].to(device), requires_grad=False))
    return ""


def _places(layer: Layer) -> Iterator[tuple[str, tuple[Any, str, Any]]]:
    """Where the weights of a layer go: module, attribute and device, by their names in the file."""
    device = next(layer.own.parameters()).device
    base = set(layer.own.modules())
    for path, module in layer.around.named_modules():
        if module in base:
            continue
        for child, _ in module.named_parameters(recurse=False):
            full = f".{path}.{child}" if path else f".{child}"
            name = full.replace(f".modules_to_save.{_NAME}", "").replace(f".{_NAME}", "")
            yield (
                layer.name + name.replace("_magnitude_vector.weight", "_magnitude_vector"),
                (module, child, device),
            )


def _renamed(model: Any, config: Any, weights: dict[str, Any]) -> dict[str, Any]:
    """The weights by today's names, where they were saved before transformers renamed a model's modules."""
    from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers

    told = convert_peft_adapter_state_dict_for_transformers(model, config, weights, _NAME)
    return {
        name.removeprefix("base_model.model.").replace(f".{_NAME}", ""): tensor
        for name, tensor in told.items()
    }
