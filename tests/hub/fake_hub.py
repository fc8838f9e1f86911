"""A Hub on this computer: the part of its HTTP interface that the real client asks for.

Its answers have the form of huggingface.co/docs/hub/api and the headers that
`huggingface_hub` reads (`X-Error-Code`, `X-Repo-Commit`, `ETag`). Weights are large files:
a redirect with `X-Linked-Size` and `X-Linked-ETag`, to a place that knows ranges. They are
uploaded as git-lfs has it (github.com/git-lfs/git-lfs, docs/api/batch.md), then committed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_SecretOfTheseTests"
TASK = "image-text-to-text"
BLOCK = 1 << 16


@dataclass
class Repo:
    """A repository: its files by commit, the newest last."""

    commits: dict[str, dict[str, bytes]]
    tags: list[str] = field(default_factory=list)
    gated: str | bool = False
    parameters: int = 0
    downloads: int = 0
    private: bool = False

    @property
    def head(self) -> str:
        return list(self.commits)[-1]


@dataclass
class FakeHub:
    """What it has, and what it was asked; with `status` it answers everything with an error.

    `breaks` says after how many bytes each of the next answers of weights breaks off, and
    `pause` how many seconds lie between two blocks of them.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)  # that were asked of weights
    status: int = 0
    breaks: list[int] = field(default_factory=list)
    pause: float = 0.0
    address: str = ""
    uploaded: dict[str, bytes] = field(default_factory=dict)  # large files that no commit has yet
    loses: bool = False  # whether an upload arrives damaged
    moved: dict[str, str] = field(default_factory=dict)  # other names to those that it goes by
    forbids: bool = False  # whether the token may not write

    def weights(self, digest: str) -> bytes:
        """The large file with this SHA-256."""
        kept = (
            data
            for repo in self.repos.values()
            for commit in repo.commits.values()
            for data in commit.values()
        )
        return next(data for data in kept if _sha256(data) == digest)

    def info(self, name: str, commit: str = "") -> dict[str, Any]:
        repo = self.repos[name]
        commit = commit if commit in repo.commits else repo.head
        facts: dict[str, Any] = {
            "_id": name,
            "id": self.moved.get(name, name),
            "modelId": self.moved.get(name, name),
            "sha": commit,
            "private": repo.private,
            "gated": repo.gated,
            "downloads": repo.downloads,
            "likes": 0,
            "tags": repo.tags,
            "pipeline_tag": TASK,
            "siblings": [_sibling(file, data) for file, data in repo.commits[commit].items()],
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
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
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

    def do_POST(self) -> None:
        self._taken()

    def do_PUT(self) -> None:
        self._taken()

    # --- uploads ----------------------------------------------------------------------------

    def _taken(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self._body()
        self.fake.asked.append(f"{self.command} {path}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if path.startswith("/upload/"):  # a place that is told nothing but the file, by its address
            assert not token
            return self._stored(path.rpartition("/")[2], body)
        self.fake.tokens.append(token)
        if self.fake.status:
            return self._send(self.fake.status, {"error": "busy"}, {"Retry-After": "7"})
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if token != TOKEN or self.fake.forbids:
            return self._send(403 if token == TOKEN else 401, {"error": "You may not write here."})
        if path == "/api/repos/create":
            return self._created(json.loads(body))
        return self._written(path, body)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _created(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'ada'}/{asked['name']}"
        if name in self.fake.repos:
            return self._send(409, {"error": "You already created this model repo"})
        first = {"0" * 40: {".gitattributes": b"*.safetensors filter=lfs"}}
        self.fake.repos[name] = Repo(first, private=asked.get("visibility") == "private")
        return self._send(200, {"url": f"{self.fake.address}/{name}", "name": name})

    def _written(self, path: str, body: bytes) -> None:
        name = next(name for name in self.fake.repos if f"/{name}" in path)
        if path.endswith("/settings"):
            repo, asked = self.fake.repos[name], json.loads(body)
            repo.private = asked.get("visibility") == "private" or bool(asked.get("private"))
            return self._send(200, asked)
        if path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = {file["path"]: "lfs" if _is_large(file["path"]) else "regular" for file in files}
            answer = [
                {"path": file, "uploadMode": mode, "shouldIgnore": False, "oid": None}
                for file, mode in modes.items()
            ]
            return self._send(200, {"files": answer})
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = [
                each
                | {"actions": {"upload": {"href": f"{self.fake.address}/upload/{each['oid']}", "header": {}}}}
                for each in json.loads(body)["objects"]
            ]
            return self._send(200, {"transfer": "basic", "objects": objects})
        assert path == f"/api/models/{name}/commit/main", path
        return self._committed(name, [json.loads(line) for line in body.splitlines() if line])

    def _stored(self, digest: str, body: bytes) -> None:
        if self.fake.loses or _sha256(body) != digest:
            return self._send(400, {"error": "The content does not match its hash."})
        self.fake.uploaded[digest] = body
        return self._send(200, {})

    def _committed(self, name: str, lines: list[dict[str, Any]]) -> None:
        repo = self.fake.repos[name]
        files = dict(repo.commits[repo.head])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.fake.uploaded.pop(value["oid"])
        commit = hashlib.sha1(repr(sorted(files)).encode()).hexdigest()
        repo.commits[commit] = files
        url = f"{self.fake.address}/{name}/commit/{commit}"
        return self._send(200, {"commitUrl": url, "commitOid": commit, "success": True})

    # --- everything else --------------------------------------------------------------------

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
        if path.startswith("/large/"):
            return self._large(path.rpartition("/")[2])
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
                return self._send(403 if token else 401, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
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
        data = files[file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_git(data)}"'}
        if not _is_large(file):
            return self._bytes(200, data, headers)
        digest = _sha256(data)
        headers |= {
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{digest}"',
            # Another host for the client, as with the Hub: the token must not go there.
            "Location": f"{self.fake.address.replace('127.0.0.1', 'localhost')}/large/{digest}",
        }
        return self._bytes(302, b"", headers)

    def _large(self, digest: str) -> None:
        """Weights, or a range of them, as slowly and as badly as was asked for."""
        data = self.fake.weights(digest)
        first, status = 0, 200
        headers = {"ETag": f'"{digest}"'}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            self.fake.ranges.append(asked[0])
            first, last = int(asked[1]), int(asked[2] or len(data) - 1)
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        whole, breaks = len(data), self.fake.breaks.pop(0) if self.fake.breaks else None
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(whole)}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(ConnectionError):  # the client has gone
            for start in range(0, len(data[:breaks]), BLOCK):
                self.wfile.write(data[:breaks][start : start + BLOCK])
                time.sleep(self.fake.pause)
        if breaks is not None:
            self.close_connection = True

    def _send(self, status: int, what: Any, headers: dict[str, str] | None = None) -> None:
        self._bytes(status, json.dumps(what).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def _bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _is_large(file: str) -> bool:
    return file.endswith(".safetensors")


def _git(data: bytes) -> str:
    """The name that git gives to these bytes."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@lru_cache
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sibling(path: str, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": _git(data)}
    if _is_large(path):
        found["lfs"] = {"size": len(data), "sha256": _sha256(data), "pointerSize": 134}
    return found


def _entry(path: str, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _git(data)}
    if _is_large(path):
        found["lfs"] = {"size": len(data), "oid": _sha256(data), "pointerSize": 134}
    return found
