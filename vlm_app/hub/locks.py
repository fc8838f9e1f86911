"""Which commit of a repository is used: the one of its first download, until it is upgraded."""

from __future__ import annotations

from datetime import UTC, datetime

from vlm_app.catalog import ledger
from vlm_app.hub.client import api, asking


def revision(repo: str) -> str:
    """The locked commit of a repository; '' before it was first downloaded or locked."""
    return str(ledger.read("lock").get(repo, {}).get("revision", ""))


def keep(repo: str, commit: str) -> None:
    """Lock a repository to a commit."""
    today = datetime.now(UTC).date().isoformat()
    ledger.write("lock", repo, {"revision": commit, "date": today})


def lock(repo: str) -> str:
    """The locked commit; where there is none yet, the Hub's newest is locked.

    Raises `ModelUnavailable` when the Hub must be asked and does not answer.
    """
    return revision(repo) or upgrade(repo)


def upgrade(repo: str) -> str:
    """Lock the newest commit, which the next load downloads; returns it.

    Raises `ModelUnavailable` when the Hub does not answer; the old lock stays.
    """
    commit = ""
    with asking(repo, f"The newest commit of {repo} could not be found out"):
        commit = str(api().model_info(repo).sha)
    keep(repo, commit)
    return commit
