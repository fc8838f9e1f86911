"""Uploading a folder to a new repository of the Hub, with a token that is used for that and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.hub.account import checked, name_of
from vlm_app.hub.client import asking, forget_token, page

_REPO = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_LONGEST = 96  # letters of a name on the Hub
_EMPTY = {".gitattributes"}  # what a repository has in which nobody has put anything
_FORBIDDEN, _TAKEN = (401, 403), 409


def publish(folder: Path, repo: str, token: str, private: bool) -> str:
    """Upload the files of a folder as one commit to a new repository 'owner/name'; returns its address.

    Without an owner it is the token's. A repository that is there already is taken when it is empty, as
    one is whose upload broke off. Raises `BadInput` for a name or token that cannot be, or a repository
    that holds something, and `ModelUnavailable` where the Hub refuses or cannot be reached.
    """
    from huggingface_hub import HfApi

    token, repo = checked(token), repo.strip()
    if not _REPO.fullmatch(repo) or len(repo.rpartition("/")[2]) > _LONGEST:
        raise BadInput(
            f"'{repo[:_LONGEST]}' is no name of a repository: expected owner/name in letters, digits, '-', "
            "'_' and '.', such as ada/hearts."
        )
    owner = name_of(token)
    repo = repo if "/" in repo or not owner else f"{owner}/{repo}"
    hub = HfApi(token=token)
    tried = f"{repo} could not be written on the Hub"
    with asking(repo, tried, instead=""):
        refused = _refusal(hub, repo, private) or _uploaded(hub, repo, folder)
    if refused:
        raise BadInput(f"{tried}: {refused}") if refused in _OURS else ModelUnavailable(f"{tried}: {refused}")
    return page(repo)


_WRITE = (
    "the token may not write there; make one with the permission to write at "
    "https://huggingface.co/settings/tokens."
)
_THERE = "it is there already and holds files; choose another name."
_BROKEN = "its files did not arrive whole; try again, or later."
_OURS = (_WRITE, _THERE)


def _refusal(hub: Any, repo: str, private: bool) -> str:
    """Makes the repository; why it cannot be, or ''."""
    from huggingface_hub.errors import HfHubHTTPError

    status = 0
    try:
        hub.create_repo(repo, private=private, repo_type="model")
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        if status not in (*_FORBIDDEN, _TAKEN):
            raise
        forget_token(error)
    if status == _TAKEN:
        there = hub.model_info(repo)
        if {file.rfilename for file in there.siblings or []} - _EMPTY:
            return _THERE
        if bool(there.private) != private:
            hub.update_repo_settings(repo, private=private, repo_type="model")
        return ""
    return _WRITE if status else ""


def _uploaded(hub: Any, repo: str, folder: Path) -> str:
    """Uploads the files; why that failed, or ''."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        hub.upload_folder(repo_id=repo, folder_path=folder, commit_message="Upload from vlm-app")
    except (HFValidationError, HfHubHTTPError):
        raise
    except (ValueError, RuntimeError) as error:  # what the library raises for large files
        forget_token(error)
        return _BROKEN
    return ""
