"""Whose chats these are: a random id in a signed cookie.

The cookie is the only thing that tells those apart who have not signed in (`people` knows the others).
Gradio's `session_hash` is chosen by the client and is never used for it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from itsdangerous import BadSignature, Signer

COOKIE = "vlm_app_owner"


class Owners:
    """Makes and checks the signed owner ids of one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.secret = secret = _secret(data / "secret")
        self._signer = Signer(secret, salt="owner")
        self._sealer = Signer(secret, salt="seal", digest_method=hashlib.sha256)

    def new(self, home: bool = False) -> tuple[str, str]:
        """A fresh owner id, and the cookie value that proves it. `home` is whether whoever gets it sits
        at the computer itself: their data never goes by its age."""
        owner = f"{'home-' if home else ''}{secrets.token_urlsafe(18)}"
        return owner, self._signer.sign(owner).decode()

    def read(self, cookie: str | None) -> str | None:
        """The owner id of a cookie value, or None where it is missing or not ours."""
        if not cookie:
            return None
        try:
            return self._signer.unsign(cookie).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def seal(self, owner: str, name: str) -> str:
        """Letters that only this app could have made of a name for this owner."""
        return hashlib.sha256(self._sealer.get_signature(f"{owner}\n{name}")).hexdigest()[:32]


def _secret(path: Path) -> bytes:
    """The signing key, made once and readable by this user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    key = secrets.token_hex(32).encode()
    with os.fdopen(handle, "wb") as file:
        file.write(key)
    return key
