"""Which modules of a model carry LoRA: whole paths, so that no tower is hit for its names' sake.

A list of suffixes such as `q_proj, down_proj` also hits the vision encoder of many families; here
every pattern begins with the path of the tower that the family names.
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import ModelUnavailable
from vlm_app.families import Family
from vlm_app.finetune.run_config import RunConfig, Stage

_ROUTERS = {"gate", "router", "shared_expert_gate"}  # choose experts: LoRA on them unsettles the choice


def tower(model: Any, family: Family, name: str) -> str:
    """The path of a family's tower in this model, '' where it has none of that name."""
    path = family.lora_towers.get(name, "")
    return path if path and _has(model, path) else ""


def pattern(model: Any, family: Family, towers: frozenset[str]) -> str:
    """A regular expression that fits the linear layers of these towers and nothing else.

    Raises `ModelUnavailable` where the model has no such tower, or no linear layer in it.
    """
    paths = {name: tower(model, family, name) for name in sorted(towers)}
    missing = [name for name, path in paths.items() if not path]
    if missing:
        able = ", ".join(name for name in family.lora_towers if tower(model, family, name)) or "none"
        raise ModelUnavailable(
            f"{family.title or family.name} has no tower '{missing[0]}' that can be trained, only {able}: "
            "choose among these."
        )
    others = [path for name, path in family.lora_towers.items() if name not in towers]
    found = [
        name
        for path in paths.values()
        for name in linear(model, path)
        if not any(_within(name, other) and not _within(path, other) for other in others)
    ]
    if not found:
        raise ModelUnavailable(
            f"The towers {', '.join(sorted(towers))} have no linear layers in "
            f"{family.title or family.name}: choose another tower."
        )
    return _fitting(model, found)


def linear(model: Any, path: str) -> list[str]:
    """The full names of the linear layers in a module that LoRA can lie on.

    Without attention in one piece (torch reads its weights past the layers) and the choice of experts.
    """
    head = model.get_output_embeddings()
    pieces = [name for name, module in model.named_modules() if isinstance(module, nn.MultiheadAttention)]
    return [
        name
        for name, module in model.named_modules()
        if _within(name, path)
        and isinstance(module, nn.Linear)
        and module is not head
        and name.rpartition(".")[2] not in _ROUTERS
        and not any(_within(name, piece) for piece in pieces)
    ]


def lora(loaded: LoadedModel, config: RunConfig) -> Any:
    """PEFT's settings for a run. Raises as `pattern` does.

    In the projector's stage the connector is trained whole; of a quantized base it cannot be, so
    it gets LoRA layers there.
    """
    from peft import LoraConfig

    options: dict[str, Any] = {
        "r": config.rank,
        "lora_alpha": config.alpha or 2 * config.rank,
        "lora_dropout": config.dropout,
        "use_dora": config.dora,
        "use_rslora": config.rslora,
        "bias": "none",
        "task_type": None,  # no wrapper of PEFT's own around a model for images and text
    }
    if config.stage is Stage.PROJECTOR:
        path = tower(loaded.model, loaded.family, "connector")
        whole = bool(path) and not is_quantized(loaded.model.get_submodule(path))
        if whole:
            return LoraConfig(**options, target_modules=_NONE, modules_to_save=[path])
        towers: frozenset[str] = frozenset({"connector"})
    else:
        towers = frozenset(config.towers)
    return LoraConfig(**options, target_modules=pattern(loaded.model, loaded.family, towers))


_NONE = "dummy-target-modules"  # PEFT's word for no layers beside the modules that are trained whole


def is_quantized(module: Any) -> bool:
    """Whether bitsandbytes keeps the weights of a module."""
    return any(type(part).__module__.startswith("bitsandbytes.") for part in module.modules())


def tower_of(name: str, model: Any, family: Family) -> str:
    """The tower in which a parameter lies, by its full name: the innermost that holds it."""
    holding = [
        (len(path), title)
        for title in family.lora_towers
        if (path := tower(model, family, title)) and _within(name, path)
    ]
    return max(holding)[1] if holding else "language"


def _has(model: Any, path: str) -> bool:
    try:
        model.get_submodule(path)
    except AttributeError:
        return False
    return True


def _within(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")


def _fitting(model: Any, names: list[str]) -> str:
    """A pattern for these modules: numbers of layers are left open where that hits nothing else."""
    wanted = set(names)
    by_shape: dict[str, set[str]] = {}
    for name in names:
        by_shape.setdefault(_open(name), set()).add(name)
    parts = []
    for shape, members in sorted(by_shape.items()):
        hit = {name for name, _ in model.named_modules() if re.fullmatch(shape, name)}
        parts += [shape] if hit <= wanted else [re.escape(name) for name in sorted(members)]
    return "|".join(parts)


def _open(name: str) -> str:
    return r"\.".join(r"\d+" if part.isdigit() else re.escape(part) for part in name.split("."))
