"""Downloading a model's files: the locked commit, resumed where a break left it, cancelled in mid-file.

The layout is that of the Hub's client, which puts the files in place itself. Only the bytes
of large files are fetched here: the client throws away what a break left of a file, and
counts in pieces of ten megabytes, after each of which at the earliest it can be stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vlm_app.catalog import ledger
from vlm_app.errors import ModelUnavailable
from vlm_app.hub.caches import cache_of, folder_of
from vlm_app.hub.client import api, asking
from vlm_app.hub.fetching import Count, File, Report, fetch, size
from vlm_app.hub.locks import keep, revision
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

__all__ = ["download", "on_disk"]

_SMALL = ("*.json", "*.txt", "*.model", "*.jinja")
_FOLDERS = ("", "additional_chat_templates")  # that transformers looks into
_BEAT = 0.2  # seconds


def download(checkpoint: Checkpoint, report: Report = lambda done, total: None) -> Path:
    """The folder of a Hub repository's files at its locked commit; asks nobody where it is complete.

    The first download locks the commit that it gets. `report(done, total)` hears of bytes,
    several times a second; what it raises ends the download, and what has arrived is kept
    for the next one.

    Raises `ModelUnavailable` with one sentence: no network, a broken connection, a licence
    to accept, no such repository, too many requests, or a disk that is too small.
    """
    repo = checkpoint.source
    folder = _folder(repo, revision(repo))
    if _complete(folder):
        return folder
    with (
        asking(repo, f"{checkpoint.name} could not be downloaded from the Hugging Face Hub ({repo})"),
        _alone(repo, report),
    ):
        info = api().model_info(repo, revision=revision(repo) or None, files_metadata=True)
        folder = _folder(repo, str(info.sha))
        files = _files(info)
        total, here = sum(file.size for file in files), sum(_there(repo, file) for file in files)
        _check_disk(checkpoint.name, total - here)
        count = Count(here, total, report)
        for number, file in enumerate(files):
            _get(repo, str(info.sha), file, count)
            if not number:  # not before we know that we may have them
                keep(repo, str(info.sha))
    return folder


def on_disk() -> frozenset[str]:
    """The repositories whose files are complete here, at the commit that is used. Asks nobody."""
    locked = ((repo, str(row.get("revision", ""))) for repo, row in ledger.read("lock").items())
    return frozenset(repo for repo, commit in locked if _complete(_folder(repo, commit)))


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the Hub's client keeps a repository (huggingface.co/docs/huggingface_hub/guides/manage-cache)."""

    cache: Path
    blobs: Path
    snapshots: Path


def _places(repo: str) -> _Places:
    cache = cache_of(repo)
    own = cache / folder_of(repo)
    return _Places(cache, own / "blobs", own / "snapshots")


def _folder(repo: str, commit: str) -> Path:
    return _places(repo).snapshots / (commit or "none")


def _complete(folder: Path) -> bool:
    """Whether everything is there: weights come last, and an index names those in several files."""
    if not (folder / "config.json").is_file():
        return False
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        return all((folder / str(name)).is_file() for name in set(index["weight_map"].values()))
    except FileNotFoundError:
        return any(folder.glob("*.safetensors"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def _files(info: Any) -> list[File]:
    """What is downloaded of a repository: what transformers reads, the small files first."""
    here = {item.rfilename: item for item in info.siblings or []}
    small = [
        name
        for name in here
        if name.rpartition("/")[0] in _FOLDERS and any(fnmatch(name, kind) for kind in _SMALL)
    ]
    return [_file(here[name]) for name in (*sorted(small), *_weights(here))]


def _weights(names: Iterable[str]) -> list[str]:
    """The weights in transformers' names; some repositories hold them a second time in another's."""
    found = sorted(name for name in names if name.endswith(".safetensors") and "/" not in name)
    return [name for name in found if name.startswith("model")] or found


def _file(item: Any) -> File:
    hashed = item.lfs.sha256 if item.lfs else item.blob_id
    # What the Hub does not know the size of is left to its client.
    return File(item.rfilename, item.size or 0, str(hashed or "") if item.size else "")


def _there(repo: str, file: File) -> int:
    """Bytes of a file that are on the disk."""
    blob = _places(repo).blobs / file.etag
    for path in (blob, _part(blob)):
        if file.etag and path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.incomplete")


def _check_disk(name: str, missing: int) -> None:
    cache = settings().data / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if missing > free:
        raise ModelUnavailable(
            f"{name} needs {size(missing)} more on the disk, and {size(free)} are free: free some space, or "
            "choose a smaller model."
        )


def _get(repo: str, commit: str, file: File, count: Count) -> None:
    """One file: its bytes, and then its place, which the Hub's client gives it."""
    from huggingface_hub import hf_hub_download, hf_hub_url

    places = _places(repo)
    blob = places.blobs / file.etag
    if file.etag and not blob.is_file():
        places.blobs.mkdir(parents=True, exist_ok=True)
        part = _part(blob)
        fetch(hf_hub_url(repo, file.name, revision=commit), part, file, count)
        part.replace(blob)
    hub = api()
    hf_hub_download(repo, file.name, revision=commit, cache_dir=places.cache, token=hub.token)


@contextmanager
def _alone(repo: str, report: Report) -> Iterator[None]:
    """One download of a repository at a time, in all processes; whoever waits can be cancelled."""
    from huggingface_hub.utils import WeakFileLock

    path = _places(repo).blobs.parent / "download.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(WeakFileLock(path, timeout=_BEAT))
                break
            except TimeoutError:
                report(0, 0)
        yield
