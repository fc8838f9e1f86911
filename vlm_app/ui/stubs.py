"""Gradio without the stubs that it writes for editors: a third of the time in which it is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

WRITER = "gradio.component_meta"


class _Finder(MetaPathFinder):
    """Finds the one module that writes them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != WRITER:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            return None
        return spec_from_file_location(fullname, found.origin, loader=_Loader(fullname, found.origin))


class _Loader(SourceFileLoader):
    """Takes the writing from it, once it was loaded."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.__dict__["create_or_modify_pyi"] = lambda *given: None


def write_none() -> None:
    """To be called before gradio is imported; later it changes nothing."""
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
