"""What went wrong with a server, as one sentence. No key, and no request, is ever part of it."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import Any

from vlm_app.errors import AppError, GenerationFailed, ModelUnavailable
from vlm_app.servers.registry import Server, key

_log = logging.getLogger(__name__)
_LONGEST = 200  # characters of a server's own words


@dataclass(frozen=True, slots=True)
class Fault:
    """`again`: asking once more may help, after `wait` seconds if the server said so.
    `broken`: the server itself is in trouble. `begun`: a part of the answer was shown."""

    sentence: str
    again: bool = False
    wait: float | None = None
    broken: bool = False
    begun: bool = False

    def error(self) -> AppError:
        return (GenerationFailed if self.begun else ModelUnavailable)(self.sentence)


def fault(error: BaseException, server: Server, begun: bool = False) -> Fault:
    """What an exception of the `openai` library, or of a timeout of ours, means."""
    from openai import APIConnectionError, APIError, APIResponseValidationError, APIStatusError

    _log.warning("The server %s: %s", server.name, type(error).__name__)
    name = f"The server '{server.name}'"
    if isinstance(error, AppError):
        return Fault(error.sentence, begun=begun)
    if isinstance(error, APIStatusError):
        return _status(error, server, name, begun)
    if isinstance(error, TimeoutError):
        said = "stopped in the middle of the answer" if begun else "did not begin to answer in time"
        return Fault(f"{name} {said}: ask again, or choose another model.", broken=True, begun=begun)
    # A cut in the middle of a character or of a chunk shows as a text that cannot be read.
    if begun and isinstance(error, EOFError | APIConnectionError | ValueError):
        cut = f"{name} closed the connection in the middle of the answer"
        return Fault(f"{cut}: continue it, or ask again.", broken=True, begun=begun)
    if isinstance(error, APIConnectionError):
        reached = f"{name} cannot be reached at {server.url}"
        return Fault(f"{reached}: start it, or correct its address on the page Models.", broken=True)
    if isinstance(error, APIResponseValidationError | json.JSONDecodeError | UnicodeError | ValueError):
        return _nonsense(name, begun)
    if isinstance(error, APIError):
        return Fault(f"{name} ended the answer: {_words(error.body, server)}", broken=True, begun=begun)
    return _nonsense(name, begun)


def _nonsense(name: str, begun: bool) -> Fault:
    return Fault(
        f"{name} answered with something that is not the OpenAI protocol: check its address, which "
        "mostly ends with /v1.",
        broken=True,
        begun=begun,
    )


def _status(error: Any, server: Server, name: str, begun: bool) -> Fault:
    status = int(error.status_code)
    if status in (401, 403):
        return Fault(
            f"{name} does not accept its key: set {server.key_name}, or give it again on the page Models.",
            begun=begun,
        )
    if status == 404:
        return Fault(
            f"{name} has no such model or address: look for its models again on the page Models.", begun=begun
        )
    if status == 413:
        return Fault(
            f"{name} finds the question too large: send fewer images, or set a smaller pixel budget.",
            begun=begun,
        )
    if status == 429:
        wait = _wait(error.response.headers)
        when = f"in {wait:.0f} seconds" if wait else "in a while"
        return Fault(f"{name} has too many requests: ask again {when}.", again=True, wait=wait, begun=begun)
    if status >= 500:
        return Fault(
            f"{name} failed with status {status}: {_words(error.body, server)}",
            again=True,
            wait=_wait(error.response.headers),
            broken=True,
            begun=begun,
        )
    return Fault(f"{name} refused the question: {_words(error.body, server)}", begun=begun)


def _wait(headers: Any) -> float | None:
    """Seconds of `Retry-After`; a date in it is as good as nothing."""
    said = str(headers.get("retry-after", "")).strip()
    return float(said) if re.fullmatch(r"\d{1,6}(\.\d+)?", said) else None


def _words(body: Any, server: Server) -> str:
    """The server's own words, shortened, on one line, without its key."""
    found = body.get("error", body) if isinstance(body, dict) else body
    found = found.get("message", "") if isinstance(found, dict) else found
    text = " ".join(str(found or "").split())
    if secret := key(server):
        text = text.replace(secret, "…")
    if not text or text.startswith("<"):
        return "it gave no reason; ask again, or choose another model."
    return f"'{text[:_LONGEST]}'; ask again, or choose another model."
