"""Which models a server has."""

from __future__ import annotations

from vlm_app.servers import client, registry
from vlm_app.servers.guessing import family_for
from vlm_app.servers.registry import Server


def discover(name: str) -> Server:
    """Ask a server for its models; new ones get a guessed family, known ones keep theirs.

    Raises `NotFound`, and `ModelUnavailable` when the server does not say.
    """
    ids = client.models(registry.find(name))
    known = registry.find(name).models  # as they are now: one may have been corrected meanwhile
    return registry.know(name, {id: known.get(id) or family_for(id) for id in ids})
