"""Signing in with an account of the Hugging Face Hub, on a Space whose front matter has `hf_oauth: true`.

OpenID Connect with a code and PKCE, as the Hub documents it for Spaces. Gradio's own button is not used:
outside of a Space it signs everybody in as the account of the computer that the app runs on. The token
of a person is asked for their name once, and kept nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from itsdangerous import BadData, URLSafeTimedSerializer

from vlm_app.errors import NotAllowed
from vlm_app.settings import environment_key

CALLBACK = "/login/callback"  # where the Hub may send people back to, on a Space's own address
MINUTES = 10  # from the first press to the way back
SECONDS = 10.0  # that the Hub has for an answer
MOST_BYTES = 100_000
FAILED = "The Hub did not say who you are: go back and try again."


@dataclass(frozen=True)
class HubSignIn:
    """The app as the Hub knows it."""

    client: str
    secret: str
    provider: str
    host: str

    @classmethod
    def here(cls) -> HubSignIn | None:
        """As the Space's environment says; None elsewhere."""
        names = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OPENID_PROVIDER_URL", "SPACE_HOST")
        client, secret, provider, host = (environment_key(name) for name in names)
        if not (client and secret and host):
            return None
        return cls(client, secret, provider or "https://huggingface.co", host.split(",")[0].strip())

    def begin(self, serializer: URLSafeTimedSerializer) -> tuple[str, str]:
        """The address on the Hub, and the cookie that the way back has to come with."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": self.client,
            "redirect_uri": self._back,
            "response_type": "code",
            "scope": "openid profile",
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = f"{self.provider}/oauth/authorize?{urlencode(asked)}"
        return address, str(serializer.dumps([state, verifier], salt="hub"))

    def name(self, serializer: URLSafeTimedSerializer, cookie: str | None, state: str, code: str) -> str:
        """Who came back. Raises `NotAllowed` where it is not who left, or the Hub does not know them."""
        try:
            left, verifier = serializer.loads(cookie or "", max_age=MINUTES * 60, salt="hub")
        except (BadData, ValueError) as error:
            raise NotAllowed("This way of signing in has ended: begin again.") from error
        if not code or not secrets.compare_digest(str(left).encode(), state.encode()):
            raise NotAllowed("This way of signing in has ended: begin again.")
        token = self._asked("token", self._exchange(code, verifier), _basic(self.client, self.secret))
        who = self._asked("userinfo", None, f"Bearer {token.get('access_token')}")
        name = who.get("preferred_username")
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
            raise NotAllowed(FAILED)
        return name

    @property
    def _back(self) -> str:
        return f"https://{self.host}{CALLBACK}"

    def _exchange(self, code: str, verifier: str) -> bytes:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "client_id": self.client,
            "code_verifier": verifier,
        }
        return urlencode(fields).encode()

    def _asked(self, what: str, body: bytes | None, authorization: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.provider}/oauth/{what}",
            body,
            {"Authorization": authorization, "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                found = json.loads(answer.read(MOST_BYTES))
        except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
            if isinstance(error, HTTPError):
                error.close()
            raise NotAllowed(FAILED) from error
        return found if isinstance(found, dict) else {}


def _basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()
