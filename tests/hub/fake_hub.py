"""A Hub on this computer: the part of its HTTP interface that the real client asks for.

Its answers have the form of huggingface.co/docs/hub/api and the headers that
`huggingface_hub` reads (`X-Error-Code`, `X-Repo-Commit`, `ETag`).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_SecretOfTheseTests"
TASK = "image-text-to-text"


@dataclass
class Repo:
    """A repository: its files by commit, the newest last."""

    commits: dict[str, dict[str, bytes]]
    tags: list[str] = field(default_factory=list)
    gated: str | bool = False
    parameters: int = 0
    downloads: int = 0

    @property
    def head(self) -> str:
        return list(self.commits)[-1]


@dataclass
class FakeHub:
    """What it has, and what it was asked; with `status` it answers everything with an error."""

    repos: dict[str, Repo] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    status: int = 0
    address: str = ""

    def info(self, name: str, commit: str = "") -> dict[str, Any]:
        repo = self.repos[name]
        commit = commit if commit in repo.commits else repo.head
        facts: dict[str, Any] = {
            "_id": name,
            "id": name,
            "modelId": name,
            "sha": commit,
            "private": False,
            "gated": repo.gated,
            "downloads": repo.downloads,
            "likes": 0,
            "tags": repo.tags,
            "pipeline_tag": TASK,
            "siblings": [{"rfilename": file} for file in repo.commits[commit]],
        }
        if repo.parameters:
            facts["safetensors"] = {"parameters": {"BF16": repo.parameters}, "total": repo.parameters}
        return facts


@contextmanager
def serving() -> Iterator[FakeHub]:
    """A running Hub, empty at first."""
    hub = FakeHub()

    class Handler(_Handler):
        fake = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub

    def log_message(self, format: str, *args: Any) -> None:
        """Quietly."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        where = urlsplit(self.path)
        path = unquote(where.path)
        self.fake.asked.append(path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.fake.tokens.append(token)
        if self.fake.status:
            return self._send(self.fake.status, {"error": "busy"}, {"Retry-After": "7"})
        if path == "/api/whoami-v2":
            known = token == TOKEN
            return self._send(
                200 if known else 401, {"name": "ada", "type": "user"} if known else {"error": "?"}
            )
        if path == "/api/models":
            return self._send(200, self._searched(parse_qs(where.query)))
        return self._repository(path, token)

    def _searched(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        assert TASK in [*query.get("pipeline_tag", []), *query.get("filter", [])]
        words = query.get("search", [""])[0]
        rows = [self.fake.info(name) for name in self.fake.repos if words in name]
        return sorted(rows, key=lambda row: -row["downloads"])

    def _repository(self, path: str, token: str) -> None:
        api = path.startswith("/api/models/")
        parts = path.removeprefix("/api/models/").strip("/").split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        repo = self.fake.repos.get(name)
        if repo is None:
            return self._send(401, {"error": "Invalid"}, {"X-Error-Code": "RepoNotFound"})
        if rest[:1] in (["revision"], ["tree"], ["resolve"]):
            revision = repo.head if rest[1] == "main" else rest[1]
            if revision not in repo.commits:
                return self._send(404, {"error": "Invalid"}, {"X-Error-Code": "RevisionNotFound"})
            if repo.gated and token != TOKEN and not api:
                return self._send(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
            files = repo.commits[revision]
            if rest[0] == "tree":
                return self._send(200, [_entry(file, data) for file, data in files.items()])
            if rest[0] == "resolve":
                return self._file(files, "/".join(rest[2:]), revision)
            return self._send(200, self.fake.info(name, revision))
        return self._send(200, self.fake.info(name))

    def _file(self, files: dict[str, bytes], file: str, commit: str) -> None:
        if file not in files:
            return self._send(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(files[file]).hexdigest()}"'}
        return self._bytes(200, files[file], headers)

    def _send(self, status: int, what: Any, headers: dict[str, str] | None = None) -> None:
        self._bytes(status, json.dumps(what).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


def _entry(path: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
