"""What a repository says of its weights without the weights: its configs and safetensors headers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_app.catalog.ledger import write_whole
from vlm_app.errors import ModelUnavailable
from vlm_app.hub.caches import cache_of, folder_of
from vlm_app.hub.client import api, asking
from vlm_app.hub.locks import revision
from vlm_app.settings import settings

# What says a model's shapes and how it cuts an image; those of a tokenizer say nothing of either.
_CONFIGS = ("config.json", "preprocessor_config.json", "processor_config.json", "generation_config.json")
_LONGEST = 100_000_000  # bytes: the limit of the safetensors format
_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "F4": 4}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a safetensors file."""

    dtype: str  # as the format writes it: 'BF16', 'U8' ...
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.numbers * _BITS.get(self.dtype, 8) // 8


@dataclass(frozen=True, slots=True)
class Headers:
    """The weights of a checkpoint by name, and the folder that its configs lie in."""

    folder: Path
    tensors: Mapping[str, Tensor]

    @property
    def bytes(self) -> int:
        """Of the weights as they are stored, which is nearly the whole download."""
        return sum(tensor.bytes for tensor in self.tensors.values())


def fetch(repo: str) -> Headers:
    """Ask the Hub for the headers and configs of the locked commit, or of the newest; they are kept.

    Some hundred kilobytes. Raises `ModelUnavailable` when the Hub does not answer, or has no
    safetensors in it.
    """
    from huggingface_hub.errors import SafetensorsParsingError

    what = f"The size of {repo} could not be found out"
    found: list[Headers] = []
    try:
        with asking(repo, what):
            found.append(_fetch(repo))
    except (SafetensorsParsingError, ValueError, KeyError, AttributeError) as error:
        raise ModelUnavailable(f"{what}: its files are damaged; choose another model.") from error
    return found[0]


def known(source: str) -> Headers | None:
    """The headers of a folder, or of a repository where they were fetched or downloaded; asks nobody.

    None where they are not known, or the files are damaged: loading says what is wrong with them.
    """
    try:
        if Path(source).is_absolute():
            return _of_folder(Path(source))
        folder = _snapshot(source)
        if folder is None or not (folder / "config.json").is_file():
            return None
        return _kept(source, folder) or _of_folder(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def stamp(source: str) -> tuple[Any, ...] | None:
    """Changes whenever what `known` returns does; None where it returns None for want of files."""
    folder = Path(source) if Path(source).is_absolute() else _snapshot(source)
    if folder is None:
        return None
    try:
        config = (folder / "config.json").stat()
        weights = [(path.name, path.stat().st_size) for path in sorted(folder.glob("*.safetensors"))]
    except OSError:
        return None
    if not weights and not _file(source, folder.name).is_file():
        return None
    return (str(folder), config.st_mtime_ns, config.st_size, tuple(weights))


def _fetch(repo: str) -> Headers:
    hub = api()
    commit = revision(repo) or str(hub.model_info(repo).sha)
    folder = _download(hub, repo, commit, _CONFIGS[0]).parent
    for name in _CONFIGS[1:]:
        _optional(hub, repo, commit, name)
    tensors: dict[str, Tensor] = {}
    for name in _shards(_optional(hub, repo, commit, "model.safetensors.index.json")):
        file = hub.parse_safetensors_file_metadata(repo, name, revision=commit)  # asks for its first bytes
        tensors |= {key: Tensor(each.dtype, tuple(each.shape)) for key, each in file.tensors.items()}
    rows = {name: [tensor.dtype, *tensor.shape] for name, tensor in tensors.items()}
    write_whole(_file(repo, folder.name), json.dumps(rows))  # a snapshot's folder is named after its commit
    return Headers(folder, tensors)


def _download(hub: Any, repo: str, commit: str, name: str) -> Path:
    return Path(hub.hf_hub_download(repo, name, revision=commit, cache_dir=cache_of(repo)))


def _optional(hub: Any, repo: str, commit: str, name: str) -> Path | None:
    """A file that not every repository has; None where it is not there."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return _download(hub, repo, commit, name)
    except EntryNotFoundError:
        return None


def _shards(index: Path | None) -> list[str]:
    if index is None:
        return ["model.safetensors"]
    return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))


def _file(repo: str, commit: str) -> Path:
    return settings().data / "cache" / "headers" / repo.replace("/", "--") / f"{commit}.json"


def _kept(repo: str, folder: Path) -> Headers | None:
    path = _file(repo, folder.name)
    if not path.is_file():
        return None
    rows = json.loads(path.read_text(encoding="utf-8"))
    return Headers(folder, {name: Tensor(dtype, tuple(shape)) for name, (dtype, *shape) in rows.items()})


def _snapshot(repo: str) -> Path | None:
    """The folder of the locked commit in the Hub's cache; without a lock that of the last fetch."""
    folders = cache_of(repo) / folder_of(repo) / "snapshots"
    if locked := revision(repo):
        return folders / locked
    files = list(_file(repo, "").parent.glob("*.json"))
    return folders / max(files, key=lambda path: path.stat().st_mtime_ns).stem if files else None


def _of_folder(folder: Path) -> Headers | None:
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LONGEST:
                raise ValueError(f"{path.name} has no header")
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                tensors[name] = Tensor(entry["dtype"], tuple(entry["shape"]))
    return Headers(folder, tensors) if tensors else None
