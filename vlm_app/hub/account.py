"""Who we are to the Hub.

The token is kept in one file under the data folder that only its owner may read. It is
handed to the Hub's client and to nothing else: no dataclass, event, log or sentence holds it.
"""

from __future__ import annotations

import json
from pathlib import Path

from vlm_app.catalog.ledger import write_whole
from vlm_app.errors import BadInput
from vlm_app.settings import settings

_LONGEST = 500


def token() -> str | None:
    """The token of the sign-in, or else that of `HF_TOKEN` or of the Hub's own login; None without one."""
    from huggingface_hub import get_token

    return _kept().get("token") or get_token()


def sign_in(token: str) -> str:
    """Keep a token; returns the name that the Hub knows it by, or '' when the Hub cannot be reached.

    Raises `BadInput` when it cannot be a token, or when the Hub does not know it.
    """
    token = checked(token)
    name = name_of(token)
    write_whole(_file(), json.dumps({"token": token, "name": name}))
    return name


def checked(token: str) -> str:
    """The token without blanks around it. Raises `BadInput` when it cannot be one."""
    token = token.strip()
    if not token or len(token) > _LONGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput(
            "This is not a token of the Hugging Face Hub: expected one word, such as hf_…, from "
            "https://huggingface.co/settings/tokens."
        )
    return token


def sign_out() -> None:
    """Forget the token that `sign_in` kept; `HF_TOKEN`, where it is set, still counts."""
    _file().unlink(missing_ok=True)


def signed_in() -> str:
    """The name of who is signed in; '' for nobody. Asks nobody.

    A token that was kept while the Hub could not be reached is 'a token not yet checked',
    one of the environment 'HF_TOKEN'.
    """
    kept = _kept()
    if kept.get("token"):
        return kept.get("name") or "a token not yet checked"
    return "HF_TOKEN" if token() else ""


def _file() -> Path:
    return settings().data / "models" / "hub-token.json"


def _kept() -> dict[str, str]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a damaged file is as good as none: one signs in again
        return {}
    return found if isinstance(found, dict) else {}


def name_of(token: str) -> str:
    """The name that the Hub knows a token by, '' when it cannot be reached. Raises `BadInput` for none."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        return str(HfApi(token=token).whoami().get("name", ""))
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code != 401:
            return ""
    except (OSError, HTTPError):
        return ""
    # Raised outside the handler: the request of that error holds the token in its headers.
    raise BadInput(
        "The Hugging Face Hub does not know this token: copy it again from "
        "https://huggingface.co/settings/tokens, or make a new one."
    )
