"""The servers that a user added: where they are, their keys, and the models they have.

`servers.json` under the data folder holds all but the keys, which lie in a file of their own
that only its owner may read, or in the environment. A key goes to its server and nowhere else.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from vlm_app import families
from vlm_app.catalog import ledger
from vlm_app.errors import BadInput, NotFound
from vlm_app.servers import breaker
from vlm_app.servers.kinds import KINDS, Kind
from vlm_app.settings import environment_key, settings
from vlm_app.types import Runs, Task

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LONGEST_KEY = 1000
_writing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Server:
    """A server by its name. `models` maps the ids that it gives its models to families."""

    name: str
    url: str
    kind: Kind
    models: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def key_name(self) -> str:
        """The environment variable that its key is looked for in first."""
        return f"VLM_APP_KEY_{self.name.upper().replace('-', '_')}"


def servers() -> tuple[Server, ...]:
    """All of them, in the order in which they were added."""
    return tuple(_server(name, row) for name, row in ledger.read("servers").items())


def find(name: str) -> Server:
    """Raises `NotFound`, which names those that there are."""
    row = ledger.read("servers").get(name)
    if row is None:
        known = ", ".join(server.name for server in servers()) or "none yet"
        raise NotFound(f"There is no server '{name}': added are {known}.")
    return _server(name, row)


def add(name: str, url: str, kind: str = "other", key: str = "") -> Server:
    """Add a server, or change the address, kind or key of one.

    Its models are those of `discover`. A key that was typed for another address does not
    go to the new one. Raises `BadInput`.
    """
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"A server's name is made of letters, digits and hyphens, such as 'my-gpu'; found '{name[:60]}'."
        )
    if kind not in KINDS:
        raise BadInput(f"There is no kind of server '{kind}': choose one of {', '.join(KINDS)}.")
    old = ledger.read("servers").get(name, {})
    server = replace(_server(name, {**old, "kind": kind}), url=_address(url))
    typed = _checked(key) if key.strip() else ""
    if typed or old.get("url", server.url) != server.url:
        _keep_key(name, typed)
    _keep(server)
    breaker.forget(name)
    return server


def remove(name: str) -> None:
    """Forget a server with its key and its models."""
    server = find(name)
    ledger.remove("servers", server.name)
    _keep_key(server.name, "")
    breaker.forget(server.name)


def know(name: str, models: Mapping[str, str]) -> Server:
    """Keep which models a server has, each with its family."""
    server = replace(find(name), models=MappingProxyType(dict(models)))
    _keep(server)
    return server


def assign(name: str, model: str, family: str) -> Server:
    """Say by hand how a model of a server speaks. Raises `NotFound` and `BadInput`."""
    server = find(name)
    if model not in server.models:
        raise NotFound(f"The server '{name}' has no model '{model}': look for its models again.")
    if family not in families.names():
        raise BadInput(f"There is no family '{family}': choose one of {', '.join(families.names())}.")
    return know(name, {**server.models, model: family})


def key(server: Server) -> str:
    """A server's key: of its own environment variable, the one typed, or that of its kind; '' for none."""
    return environment_key(server.key_name) or _keys().get(server.name, "") or _own_key(server)


def key_place(server: Server) -> str:
    """Where a server's key comes from, in words; '' where it has none. Never the key."""
    if environment_key(server.key_name):
        return server.key_name
    if _keys().get(server.name):
        return "kept here"
    return server.kind.key if _own_key(server) else ""


def _own_key(server: Server) -> str:
    """A service's key, as its users keep it: sent to the service's own address only."""
    kind, ours, theirs = server.kind, urlsplit(server.url), urlsplit(server.kind.url)
    home = (ours.scheme, ours.hostname) == (theirs.scheme, theirs.hostname)
    return environment_key(kind.key) if kind.key and home else ""


def _server(name: str, row: Mapping[str, Any]) -> Server:
    kind = KINDS.get(str(row.get("kind")), KINDS["other"])
    models = {model: str(table.get("family", "")) for model, table in row.get("models", {}).items()}
    return Server(name, str(row.get("url", "")), kind, MappingProxyType(models))


def _keep(server: Server) -> None:
    models = {model: _table(server, model, family) for model, family in server.models.items()}
    ledger.write("servers", server.name, {"url": server.url, "kind": server.kind.name, "models": models})


def _table(server: Server, model: str, family: str) -> dict[str, Any]:
    """A model of a server as a table of the catalog; its row's id is 'server/model'."""
    spoken = families.get(family)
    limits = [most for most in (server.kind.max_images, spoken.max_images) if most is not None]
    return {
        "name": f"{model.rpartition('/')[2]} on {server.name}",
        "family": family,
        "repo": model,
        "tasks": [task.value for task in Task if task in spoken.tasks],
        "runs": (Runs.HOSTED if server.kind.hosted else Runs.SERVER).value,
        **({"images": min(limits)} if limits else {}),
    }


def _address(url: str) -> str:
    """The address without a slash at its end; `BadInput` says what is wrong with it."""
    url = url.strip().rstrip("/").removesuffix("/chat/completions").rstrip("/")
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise BadInput(f"An address looks like http://127.0.0.1:8000/v1, found '{_harmless(url)}'.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BadInput("An address holds no name, password or key: give the key in its own field.")
    return url


def _harmless(url: str) -> str:
    """What may be shown of an address that might hold a password."""
    return re.sub(r"^.*@", "…@", url, flags=re.DOTALL)[:80].partition("?")[0]


def _checked(key: str) -> str:
    key = key.strip()
    if len(key) > _LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput("This is not a key: expected one word of plain characters; copy it again.")
    return key


def _keys() -> dict[str, str]:
    try:
        found = json.loads(_key_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a damaged file is as good as none: the key is given again
        return {}
    return found if isinstance(found, dict) else {}


def _keep_key(name: str, key: str) -> None:
    with _writing:
        keys = {other: value for other, value in _keys().items() if other != name}
        if key:
            keys[name] = key
        if keys or _key_file().exists():
            ledger.write_whole(_key_file(), json.dumps(keys))


def _key_file() -> Any:
    return settings().data / "models" / "server-keys.json"
