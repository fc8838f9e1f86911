"""Where the files of the Hub lie: in the data folder, or where a Space was built with them."""

from __future__ import annotations

from pathlib import Path

from vlm_app.settings import Place, settings

PRELOADED = Path(".cache", "huggingface", "hub")  # below the home: `preload_from_hub` knows no other place


def folder_of(repo: str) -> str:
    """The name of a repository's folder in either."""
    return f"models--{repo.replace('/', '--')}"


def cache_of(repo: str) -> Path:
    """The cache that holds a repository's files, or is to hold them.

    A Space is built with the files of `preload_from_hub` in the README's front matter. They are used where
    they are, and completed there, unless they were fetched into the data folder before.
    """
    own = settings().data / "cache" / "hub"
    if settings().place in (Place.SPACE, Place.ZEROGPU) and not (own / folder_of(repo)).is_dir():
        built = Path.home() / PRELOADED
        if (built / folder_of(repo) / "snapshots").is_dir():
            return built
    return own
