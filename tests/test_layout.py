"""The shape of the project: small modules, small files, quick imports, no stray requirement."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([ROOT / "app.py", *(ROOT / "vlm_app").rglob("*.py")])
MEGABYTE = 1_000_000
# What a run or a tool leaves behind, and what is no file of the project.
LEFT_OUT = {".git", ".venv", "build", "data", "__pycache__", ".hypothesis"}
LEFT_OUT |= {".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache"}

# Needed by what we import, never named in our code.
BEHIND_THE_SCENES = {
    "accelerate": "transformers places large models with it",
    "torchvision": "processors of many families are built on it",
    "bitsandbytes": "transformers quantizes with it",
    "num2words": "SmolVLM's processor spells numbers with it",
    "onnxruntime": "RapidOCR's networks run on it",
}
# What the place brings along where it is imported; the tests have it from requirements-dev.txt.
BROUGHT = {"spaces"}


def files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """The top-level names of the absolute imports of a module, wherever in it they stand."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str) -> set[str]:
    lines = (ROOT / name).read_text().splitlines()
    return {canonical(re.match(r"[\w.-]+", line).group()) for line in lines if re.match(r"\w", line)}


def test_a_module_is_read_in_one_sitting() -> None:
    lines = {named(path): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: count for name, count in lines.items() if count > 400}


def test_a_function_does_one_thing() -> None:
    statements = {
        f"{named(path)}: {function.name}": sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
        for path in MODULES
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: count for name, count in statements.items() if count > 30}


def test_nothing_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert not [named(path) for path in MODULES if path.stem in vague or path.parent.name in vague]


def test_no_file_is_too_large_for_a_plain_commit() -> None:
    assert not [named(path) for path in files(ROOT) if path.stat().st_size > 10 * MEGABYTE]


def test_the_built_in_model_is_a_small_download() -> None:
    assert sum(path.stat().st_size for path in files(ROOT / "models" / "pebble")) <= 20 * MEGABYTE


def test_the_shared_words_are_imported_at_once() -> None:
    program = (
        "import time; start = time.process_time(); import vlm_app.types, vlm_app.errors, vlm_app.settings; "
        "print(time.process_time() - start)"
    )
    command = [sys.executable, "-c", program]
    seconds = [
        float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.4


def test_the_shared_words_need_nothing_heavy() -> None:
    program = "import sys, vlm_app.types, vlm_app.errors, vlm_app.settings; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "gradio", "matplotlib", "numpy", "PIL"} & set(loaded)


def test_the_recipe_of_the_built_in_model_runs_on_any_gpu_machine() -> None:
    allowed = {"torch", "transformers", "tokenizers", "safetensors", "numpy", "PIL", "matplotlib", "vlm_app"}
    for path in (ROOT / "vlm_app" / "pebble").rglob("*.py"):
        assert imported(path) <= allowed | sys.stdlib_module_names, named(path)


def test_one_opencv_is_installed_and_can_be_imported() -> None:
    found = {canonical(distribution.name) for distribution in distributions()}
    assert {name for name in found if name.startswith("opencv-")} == {"opencv-python-headless"}
    import cv2

    assert cv2.__version__


def test_what_is_imported_is_required_and_nothing_else() -> None:
    owners = packages_distributions()
    names = {name for path in MODULES for name in imported(path)} - sys.stdlib_module_names - {"vlm_app"}
    used = {canonical(owners[name][0]) for name in names} - {"pydantic-core"}  # a part of pydantic
    assert sorted(used - BROUGHT | set(BEHIND_THE_SCENES)) == sorted(requirements("requirements.txt"))


def test_everything_that_gets_installed_has_an_exact_version() -> None:
    wanted = {
        (name, "") for file in ("requirements.txt", "requirements-dev.txt") for name in requirements(file)
    }
    found = set()
    while wanted:
        name, extra = wanted.pop()
        found.add((name, extra))
        needs = [Requirement(line) for line in requires(name) or []]
        needs = [need for need in needs if not need.marker or need.marker.evaluate({"extra": extra})]
        wanted |= {(canonical(need.name), extra) for need in needs for extra in ("", *need.extras)} - found
    assert {name for name, _ in found} <= requirements("constraints.txt")
