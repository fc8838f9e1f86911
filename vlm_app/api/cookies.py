"""Cookies of this app: read from a request, and written so that a browser sends them back."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from vlm_app.settings import settings


def read(headers: Headers, wanted: str) -> str | None:
    """The value of a cookie; None where it was not sent.

    Of two apps on one host both may have sent one: browsers name that of the longer path first.
    """
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            return value
    return None


def written(scope: Scope, name: str, value: str, seconds: int) -> str:
    """The header that sets a cookie for so long; 0 seconds: that removes it.

    In a frame of another site (a Space's page) only a partitioned cookie is sent back. Browsers say
    that they are in a frame only where `Secure` holds: over https, or at localhost.
    """
    headers = Headers(scope=scope)
    if headers.get("sec-fetch-dest") == "iframe":
        rule = "SameSite=None; Secure; Partitioned"
    else:
        https = scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "") == "https"
        rule = f"SameSite=Lax{'; Secure' * https}"
    path = settings().root_path or "/"  # two apps behind one proxy have a cookie each
    return f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; {rule}"
