"""Names that Gradio gives out are good only with the cookie of whom they were given to.

Gradio knows a page by a `session_hash` that its client chooses, a running question by an `event_id`,
an upload by its path on this computer; whoever has one of them has what it stands for. Here each gets
a seal made from its owner, so that a name that was stolen or guessed opens nothing, also after a
restart, and without a table that could be filled up. Paths of this computer never leave it.

Answers repeat what was asked, so a path in one proves nothing: it is sealed for whom it belongs to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from vlm_app.api.owner import Owners
from vlm_app.errors import BadInput, NotFound
from vlm_app.store.uploads import Uploads

ALIAS = "/uploads"  # what the page gets in place of the folder's path
NO_OBJECT = "A JSON object is expected here: reload the page."
_EVENT = re.compile(rb'("event_id": ?")([0-9a-f]{32})"')
_SLASH = rb"(?:/|\\\\|%5C|\\)"


class Seals:
    """Seals and opens the names of one upload folder and one secret."""

    def __init__(self, owners: Owners, uploads: Uploads) -> None:
        self._owners = owners
        self._uploads = uploads
        spellings = b"|".join(re.escape(each) for each in _spellings(str(uploads.folder)))
        self._path = re.compile(rb"(?:%s)%s([^/\\\"'<>\s]+)%s" % (spellings, _SLASH, _SLASH))
        self._folder = re.compile(spellings)

    def session(self, owner: str | None, name: str) -> str:
        """What Gradio gets to know of a session's name; the same name of another owner is another one."""
        return self._seal(owner, "session", name)

    def event(self, owner: str | None, sealed: str) -> str:
        """The id that was given out to this owner as `sealed`. Raises NotFound for any other's."""
        id, _, seal = sealed.partition("-")
        if seal != self._seal(owner, "event", id):
            raise NotFound("This question is over, or it is not yours.")
        return id

    def file(self, owner: str | None, alias: str) -> str:
        """The path behind an alias that was given out to this owner. Raises NotFound for anything else."""
        parts = PurePath(alias.removeprefix(ALIAS)).parts[1:] if alias.startswith(f"{ALIAS}/") else ()
        if len(parts) < 3 or ".." in parts or parts[0] != self._seal(owner, "file", parts[1]):
            raise NotFound("This is no file that you uploaded: upload it again.")
        return str(self._uploads.folder.joinpath(*parts[1:]))

    def opened(self, owner: str | None, body: bytes) -> bytes:
        """What a client sent as JSON, with the real names. No file but an upload of its owner is in it.

        Raises BadInput where it is no JSON object, NotFound where a name is not this owner's.
        """
        try:
            asked = json.loads(body)
            if isinstance(asked, dict):
                return json.dumps(self._opened(owner, asked)).encode()
        except (ValueError, RecursionError) as error:
            raise BadInput(NO_OBJECT) from error
        raise BadInput(NO_OBJECT)

    def _opened(self, owner: str | None, asked: dict[str, Any]) -> dict[str, Any]:
        for each in _objects(asked):
            if isinstance(each.get("path"), str):
                each["path"] = self.file(owner, each["path"])
            if "path" in each or "meta" in each:
                each.pop("url", None)  # Gradio fetches what it names
        if isinstance(asked.get("session_hash"), str):
            asked["session_hash"] = self.session(owner, asked["session_hash"])
        if isinstance(asked.get("event_id"), str):
            asked["event_id"] = self.event(owner, asked["event_id"])
        return asked

    def sealed(self, owner: str | None, uploader: str, body: bytes) -> bytes:
        """What Gradio answers, or a piece of it, with sealed names for this owner.

        `uploader` is whose uploads get one: the owner, or as whom one counts who has no cookie.
        """

        def event(found: re.Match[bytes]) -> bytes:
            id = found[2].decode()
            return found[1] + f'{id}-{self._seal(owner, "event", id)}"'.encode()

        def path(found: re.Match[bytes]) -> bytes:
            folder = found[1].decode(errors="replace")
            if not self._uploads.has(uploader, folder):
                return found[0]
            return f"{ALIAS}/{self._seal(owner, 'file', folder)}/{folder}/".encode()

        body = _EVENT.sub(event, body) if b'"event_id"' in body else body
        if self._folder.search(body):
            body = self._folder.sub(ALIAS.encode(), self._path.sub(path, body))
        return body

    def _seal(self, owner: str | None, kind: str, name: str) -> str:
        return self._owners.seal(owner or "", f"{kind}:{name}")


def _spellings(path: str) -> list[bytes]:
    """A path as it is, and as JSON and addresses write it; the longest first."""
    texts = {path, json.dumps(path)[1:-1], json.dumps(path, ensure_ascii=False)[1:-1], quote(path)}
    return sorted((each.encode() for each in texts), key=len, reverse=True)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside a value, itself too; as deep as it goes, without recursion."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
