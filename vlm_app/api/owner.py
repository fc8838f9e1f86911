"""Whose chats these are: a random id in a signed cookie.

The cookie is the only thing that tells those apart who have not signed in (`people` knows the others).
Gradio's `session_hash` is chosen by the client and is never used for it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from filelock import FileLock
from itsdangerous import BadSignature, Signer

COOKIE = "vlm_app_owner"
_LENGTH = 64  # letters of the signing key


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
    with FileLock(path.with_name(".secret.lock"), mode=0o600):  # of all that begin at once, one makes it
        if len(found := _read(path)) >= _LENGTH:  # a disk that lost power, or was full, kept less
            return found
        made = secrets.token_hex(_LENGTH // 2).encode()
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".secret")  # mode 600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(made)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    return made


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
