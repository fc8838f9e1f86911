"""Downloading a model's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vlm_app.hub.account import token
from vlm_app.hub.client import asking
from vlm_app.hub.locks import keep, revision
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
Report = Callable[[int, int], None]


def download(checkpoint: Checkpoint, report: Report = lambda done, total: None) -> Path:
    """The files of a Hub repository at its locked commit, from the cache where they are there already.

    The first download locks the commit that it got.
    """
    from huggingface_hub import snapshot_download

    repo = checkpoint.source
    locked = revision(repo)
    path = ""
    with asking(repo, f"{checkpoint.name} could not be downloaded from the Hugging Face Hub ({repo})"):
        path = snapshot_download(
            repo,
            revision=locked or None,
            allow_patterns=list(FILES),
            cache_dir=settings().data / "cache" / "hub",
            token=token() or False,
        )
    if not locked:
        keep(repo, Path(path).name)  # a snapshot's folder is named after its commit
    return Path(path)
