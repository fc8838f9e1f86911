"""`vlm-app settings`: everything that can be set, here and as the page docs/settings.md."""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from vlm_app.servers import KINDS
from vlm_app.settings import ROOT, Settings, settings

# What depends on the place or the machine, in words that are true on each.
_BY_PLACE = {
    "place": "found by itself",
    "data": "the user's data folder; in a container `./data`; on a Space its bucket, else `./data`",
    "lasting": "found by itself",
    "offered": "`pebble`; on a Space `florence-2-base,smolvlm2-500m`, on ZeroGPU "
    "`qwen3-vl-4b,florence-2-base`",
    "host": "`127.0.0.1`; in a container and on a Space `0.0.0.0`",
    "admins": "none; on a Space its author",
}
# Variables of libraries that the app leaves as they are.
_OTHERS = {
    "HF_TOKEN": "The Hub's token, for gated models; one that was signed in with comes first",
    "HF_ENDPOINT": "Address of a mirror of the Hub",
    "HF_HUB_OFFLINE": "1: the Hub is never asked",
    "HTTPS_PROXY": "Proxy for what the app asks of the network",
    "CUDA_VISIBLE_DEVICES": "Which GPUs may be used, as 0 or 0,1",
    "OMP_NUM_THREADS": "Threads of a model on the processor at most; it leaves cores that others use to them",
}
_KINDS = ((bool, "true or false"), (ByteSize, "amount, as 8GB"), (Path, "folder"))
_HEAD = """# Settings

Each is an environment variable; on a Space it is one of its variables. Empty is as if it were not set.
`vlm-app settings` lists them with their values here; what cannot be used is told when the app starts. This
page is written by `vlm-app settings --markdown > docs/settings.md`.
"""


def add(commands: Any) -> None:
    """Its arguments."""
    shown = commands.add_parser("settings", help="list everything that can be set", description=run.__doc__)
    shown.add_argument("--markdown", action="store_true", help="print the page docs/settings.md")
    shown.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the settings with their values here; those that were set are marked by a star."""
    if arguments.markdown:
        print(page(), end="")
        return 0
    chosen = settings()
    for name, field in Settings.model_fields.items():
        star = "*" if name in chosen.model_fields_set else " "
        print(f"{star} {variable(name, field):32}{_value(getattr(chosen, name))}")
    return 0


def page() -> str:
    """The settings as a page of Markdown, the same on every machine."""
    limits = {name for base in Settings.__mro__[1:] for name in getattr(base, "model_fields", {})}
    own = {name: field for name, field in Settings.model_fields.items() if name not in limits}
    rest = {name: field for name, field in Settings.model_fields.items() if name in limits}
    others = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in (_OTHERS | _keys()).items())
    return (
        f"{_HEAD}\n{_table(own)}\n## What visitors and members may take\n\n{_table(rest)}"
        f"\n## Of others\n\n| Variable | Meaning |\n|---|---|\n{others}"
    )


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    return str(field.validation_alias or f"{Settings.model_config['env_prefix']}{name.upper()}")


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = (
        f"| `{variable(name, field)}` | {field.description} | {_kind(field)} | {_default(name, field)} |\n"
        for name, field in fields.items()
    )
    return "| Variable | Meaning | Value | If not set |\n|---|---|---|---|\n" + "".join(rows)


def _keys() -> dict[str, str]:
    """The variables that hold keys of services."""
    known = {kind.key: f"Key of {kind.title}, at its own address" for kind in KINDS.values() if kind.key}
    return {"VLM_APP_KEY_NAME": "Key of the server NAME that was added"} | known


# --- one field in words ---------------------------------------------------------------------


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return _BY_PLACE[name]  # a KeyError: words for a new one stand here
    return f"`{_value(field.default)}`" if field.default not in (None, "", ()) else "empty"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        return value.human_readable(decimal=True).replace(".0", "")
    if isinstance(value, Path) and value.is_relative_to(ROOT):
        return str(value.relative_to(ROOT))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _kind(field: FieldInfo) -> str:
    """What may be written, from the field's type and its bounds."""
    kind = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    if get_origin(kind) is tuple:
        return "words, commas between"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _one_of(tuple(each.value for each in kind))
    if kind in (int, float):
        return " ".join(["whole number" if kind is int else "number", *_bounds(field)])
    return next((words for each, words in _KINDS if kind is each), "text")


def _one_of(values: tuple[Any, ...]) -> str:
    *first, last = (f"`{each}`" for each in values)
    return f"{', '.join(first)} or {last}"


def _bounds(field: FieldInfo) -> Iterator[str]:
    for each in field.metadata:
        for name, word in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "below")):
            if (bound := getattr(each, name, None)) is not None:
                yield f"{word} {bound:g}"
