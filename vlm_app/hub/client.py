"""Asking the Hub, and what is said when it does not answer."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vlm_app.errors import ModelUnavailable
from vlm_app.hub.account import token

_log = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def api() -> Any:
    """The Hub's client, with our token or with none."""
    from huggingface_hub import HfApi

    return HfApi(token=token() or False)


def page(repo: str) -> str:
    """The address of a repository's page, where its licence is accepted."""
    return f"https://huggingface.co/{repo}"


@contextmanager
def asking(repo: str, what: str, instead: str = ", or choose the built-in model") -> Iterator[None]:
    """Turn what the Hub's client raises into one sentence; `what` says what was tried, as its begin, and
    `instead` what else can be done where the Hub cannot be reached."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    problem = ""
    try:
        yield
    except HFValidationError:
        problem = f"'{repo}' is no name of a repository; expected owner/name, such as google/gemma-3-4b-it."
    except HfHubHTTPError as error:
        _log.warning("The Hub on %s: %s", repo, type(error).__name__)
        problem = _problem(error, repo)
        forget_token(error)
    except (OSError, HTTPError) as error:  # LocalEntryNotFoundError and OfflineModeIsEnabled as well
        _log.warning("The Hub on %s: %s", repo, type(error).__name__)
        problem = (
            "the disk is full; free some space and try again, what has arrived is kept."
            if getattr(error, "errno", None) in _FULL
            else f"check the network and the free disk space and try again{instead}."
        )
        forget_token(error)
    if problem:
        raise ModelUnavailable(f"{what}: {problem}") from None


def forget_token(error: BaseException) -> None:
    """The requests that an error and those behind it keep hold the token in their headers."""
    while error:
        holders = (error, getattr(error, "response", None))
        for request in (found for holder in holders for found in _requests(holder)):
            request.headers.pop("authorization", None)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


def _requests(holder: Any) -> list[Any]:
    """What stands behind `request`, a property that raises where there is none."""
    kept = getattr(holder, "__dict__", {})
    return [kept[name] for name in ("request", "_request") if kept.get(name) is not None]


def _problem(error: Any, repo: str) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = getattr(error.response, "status_code", 0)
    if isinstance(error, GatedRepoError):
        return f"accept the licence at {page(repo)}, then sign in."
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such public repository; check its name, or sign in if it is a private one."
    if isinstance(error, RevisionNotFoundError):
        return "the locked commit is gone from the Hub; 'vlm-app models upgrade' locks the newest one."
    if status == 429:
        return f"too many requests; {_wait(error)}, or sign in, which allows more."
    if status in (401, 403):
        return "the token that was used is not accepted; sign in again."
    return f"the Hub answered with status {status}; try again later."


def _wait(error: Any) -> str:
    seconds = error.response.headers.get("retry-after", "")
    return f"try again in {seconds} seconds" if seconds.isdecimal() else "try again in some minutes"
