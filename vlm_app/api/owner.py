"""Whose chats these are: a random id in a signed cookie.

The cookie is the only thing that tells visitors apart. Gradio's `session_hash` is chosen by
the client and is never used for it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from itsdangerous import BadSignature, Signer

from vlm_app.errors import BadInput

COOKIE = "vlm_app_owner"


class Owners:
    """Makes and checks the signed owner ids of one data folder."""

    def __init__(self, data: Path) -> None:
        self._signer = Signer(_secret(data / "secret"), salt="owner")

    def new(self) -> tuple[str, str]:
        """A fresh owner id, and the cookie value that proves it."""
        owner = secrets.token_urlsafe(18)
        return owner, self._signer.sign(owner).decode()

    def read(self, cookie: str | None) -> str | None:
        """The owner id of a cookie value, or None where it is missing or not ours."""
        if not cookie:
            return None
        try:
            return self._signer.unsign(cookie).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def of(self, cookies: Mapping[str, str]) -> str:
        """The owner that sent these cookies. Raises BadInput where nobody did."""
        owner = self.read(cookies.get(COOKIE))
        if owner is None:
            raise BadInput(
                "This page keeps your chats apart from others' by a cookie, and found none: "
                "allow cookies for this address and reload."
            )
        return owner


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
