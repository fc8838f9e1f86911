"""Models beyond the catalog: any Hub repository or folder whose architecture is a known family."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlm_app import families
from vlm_app.catalog import catalog, ledger
from vlm_app.catalog.rows import row
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.hub.caches import cache_of
from vlm_app.hub.client import api, asking
from vlm_app.hub.findings import family_of, licence, parameters
from vlm_app.hub.locks import keep
from vlm_app.types import Checkpoint, Runs, Task

FAMILY = "vlm_app_family"  # in config.json: who reads its answers, where its architecture does not say
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_CONFIG_BYTES = 4_000_000
_HEADER_BYTES = 100_000_000  # the limit of the safetensors format


def add(source: str, folders: bool = True) -> Checkpoint:
    """Add a Hub repository ('owner/name') or, with `folders`, a local folder; returns its row, which is
    unlisted.

    The family comes from its config, the facts from its files; nothing of it is run. What
    is in the catalog already is returned as it is.

    Raises `BadInput` when it is neither, `ModelUnavailable` when its architecture is of no
    known family, it holds no safetensors, or the Hub does not answer.
    """
    folder = _folder(source) if folders else None
    if folder is None and not _REPO.fullmatch(source):
        raise BadInput(f"'{source}' is neither a folder nor a repository of the Hub, such as owner/name.")
    if known := _known(str(folder) if folder else source, here=folder is not None):
        return known
    if folder is not None:
        return _kept(_free(folder.name), _of_folder(folder))
    table = _of_repository(source)  # which the Hub may call by another name, as one that has moved
    return _known(table["repo"], here=False) or _kept(table["repo"], table)


def _folder(source: str) -> Path | None:
    """The folder that a text names; None where it names none."""
    try:
        folder = Path(source).expanduser()
        return folder.resolve() if source and folder.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long, with a NUL, of a home that nobody has
        return None


def _known(source: str, here: bool) -> Checkpoint | None:
    """The row of a source; the Hub takes upper and lower case for the same."""
    same = [row for row in catalog().values() if row.source.casefold() == source.casefold()]
    return next((row for row in same if row.source == source or not here), None)


def _kept(id: str, table: dict[str, Any]) -> Checkpoint:
    checked = replace(row(id, table, ledger.path_of("added")), listed=False)
    ledger.write("added", id, table)
    return checked


def _free(id: str) -> str:
    taken, number, wanted = catalog(), 1, id
    while id in taken:
        number += 1
        id = f"{wanted}-{number}"
    return id


def _of_folder(folder: Path) -> dict[str, Any]:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise _no_safetensors(str(folder))
    config = _config(folder / "config.json", str(folder))
    facts = {"name": folder.name, "folder": str(folder), "parameters": sum(map(_count, weights))}
    return _table(config, str(folder)) | facts


def _of_repository(repo: str) -> dict[str, Any]:
    tried = f"{repo} could not be added"
    with asking(repo, tried):
        hub = api()
        info = hub.model_info(repo)
        repo = str(info.id or repo)
        files = {file.rfilename: file.size for file in info.siblings or []}
        if "config.json" not in files:
            raise ModelUnavailable(
                f"{tried}: it has no config.json, which says its architecture; choose a repository of "
                "transformers."
            )
        if not any(name.endswith(".safetensors") for name in files):
            raise _no_safetensors(repo)
        path = hub.hf_hub_download(repo, "config.json", revision=info.sha, cache_dir=cache_of(repo))
    table = _table(_config(Path(path), repo), repo)
    keep(repo, str(info.sha))
    facts = {
        "name": repo.partition("/")[2],
        "repo": repo,
        "parameters": parameters(info),
        "licence": licence(info),
        "languages": _languages(info),
        "sources": [f"https://huggingface.co/{repo}"],
    }
    return table | facts


def _table(config: dict[str, Any], source: str) -> dict[str, Any]:
    """What a config says, as a table of the catalog."""
    model_type = str(config.get("model_type", ""))
    name = _told(config) or family_of(model_type, str(_part(config, "vision_config").get("model_type", "")))
    if not name:
        known = ", ".join(
            sorted({kind for name in families.names() for kind in families.get(name).model_types})
        )
        raise ModelUnavailable(
            f"{source} cannot be added: its architecture '{model_type or 'not stated'}' is of no known "
            f"family; known are {known}."
        )
    family = families.get(name)
    runs = Runs.IN_PROCESS if family.native else Runs.SERVER if family.servers else Runs.PARSER_ONLY
    context = _part(config, "text_config").get("max_position_embeddings") or config.get(
        "max_position_embeddings"
    )
    return {
        "family": name,
        "tasks": [task.value for task in Task if task in family.tasks],
        "context": context if isinstance(context, int) else 0,
        "remote_code": "auto_map" in config and runs is not Runs.IN_PROCESS,
        "runs": runs.value,
        "video": family.video,
    }


def _told(config: dict[str, Any]) -> str:
    """The family that this app wrote into the config of a model it merged; '' where there is none."""
    name = config.get(FAMILY)
    return name if isinstance(name, str) and name in families.names() else ""


def _part(config: dict[str, Any], key: str) -> dict[str, Any]:
    part = config.get(key)
    return part if isinstance(part, dict) else {}


def _config(path: Path, source: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _CONFIG_BYTES:
            raise ValueError("too large")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ModelUnavailable(
            f"{source} cannot be added: expected a config.json that says its architecture; restore the file."
        )
    return found


def _count(path: Path) -> int:
    """The numbers in a safetensors file, by its header (a length in 8 bytes, then JSON)."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _HEADER_BYTES:
                raise ValueError("not a header")
            header = json.loads(file.read(length))
        return sum(math.prod(entry["shape"]) for key, entry in header.items() if key != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelUnavailable(
            f"The file {path.name} is damaged: expected weights in safetensors; copy it again."
        ) from None


def _languages(info: Any) -> list[str]:
    """Two-letter codes among a repository's tags: the Hub puts a card's languages there."""
    return sorted({tag for tag in info.tags or [] if re.fullmatch(r"[a-z]{2}", tag)})


def _no_safetensors(source: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{source} cannot be added: its weights are not in safetensors, the only format that is loaded; "
        "look for a conversion."
    )
