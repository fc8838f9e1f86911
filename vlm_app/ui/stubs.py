"""Gradio without the stubs that it writes for editors: a third of the time in which it is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

WRITER = "gradio.component_meta"


class _Finder(MetaPathFinder):
    """Finds the one module that writes them, and takes that from it once it was loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != WRITER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def loaded(module: ModuleType) -> None:
            load(module)
            module.__dict__["create_or_modify_pyi"] = lambda *given: None

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


def write_none() -> None:
    """To be called before gradio is imported; later it changes nothing."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
