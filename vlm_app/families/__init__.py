"""The families of models that the app can talk with: one file each.

A module of this folder that ends with `FAMILY = …` is a family, and its file's name is
the catalog's key. Importing the package, and any family, imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from vlm_app.errors import ModelUnavailable
from vlm_app.families.base import Asked, Family, Parsed, Size

__all__ = ["Asked", "Family", "Parsed", "Size", "get", "names"]


def names() -> tuple[str, ...]:
    """All families, sorted."""
    return tuple(_families())


def get(name: str) -> Family:
    """The family of that name; `ModelUnavailable` names the known ones otherwise."""
    try:
        return _families()[name]
    except KeyError:
        known = ", ".join(names())
        raise ModelUnavailable(f"There is no model family '{name}'; known are: {known}.") from None


@cache
def _families() -> Mapping[str, Family]:
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    families = (getattr(module, "FAMILY", None) for module in modules)
    return {family.name: family for family in families if isinstance(family, Family)}
