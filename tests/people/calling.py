"""Calls the page's listeners as anybody can who knows the app's address: over HTTP, without the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

SECONDS = 120.0  # for an answer, on a busy machine


class Caller:
    """A visitor without a browser. `values` below are of components, by the id of their element."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=SECONDS, follow_redirects=False, trust_env=False)
        self.http.get("/", headers={"accept": "text/html"}).raise_for_status()
        self.config = self.http.get("/config").json()
        self.parts = {each["id"]: each["props"] for each in self.config["components"]}

    def close(self) -> None:
        self.http.close()

    def sign_in(self, name: str, password: str) -> None:
        answer = self.http.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text

    def press(self, element: str, event: str, *, values: Mapping[str, Any] | None = None, **data: Any) -> str:
        """Whatever is said after an event of an element, as one text: warnings, news and updates.
        Where several listen, the last one is called."""
        listener = self._listeners(element, event)[-1]
        given = [self._value(part, values or {}) for part in listener["inputs"]]
        return self._told({"fn_index": listener["id"], "data": given, "event_data": data})

    def _listeners(self, element: str, event: str) -> list[dict[str, Any]]:
        parts = {id for id, props in self.parts.items() if props.get("elem_id") == element}
        found = [
            each
            for each in self.config["dependencies"]
            if each["backend_fn"] and any(id in parts and name == event for id, name in each["targets"])
        ]
        assert found, f"nothing listens to '{event}' of #{element}"
        return found

    def _value(self, part: int, values: Mapping[str, Any]) -> Any:
        props = self.parts[part]
        return values.get(props.get("elem_id") or "", props.get("value"))

    def _told(self, asked: Mapping[str, Any]) -> str:
        query = {"session_hash": uuid4().hex}  # a new tab each time: Gradio knows the choices of each
        joined = self.http.post("/gradio_api/queue/join", json={**asked, **query})
        assert joined.status_code == 200, joined.text
        said = []
        with self.http.stream("GET", "/gradio_api/queue/data", params=query) as lines:
            for line in lines.iter_lines():
                if not line.startswith("data: "):
                    continue
                message = json.loads(line.removeprefix("data: "))
                said.append(json.dumps(message, ensure_ascii=False))
                if message["msg"] in ("process_completed", "close_stream"):
                    break
        return "\n".join(said)
