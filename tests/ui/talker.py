"""A visitor without a browser: talks to a running app as its page does."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4


@dataclass
class Talker:
    """One tab of one visitor, at a port of the loopback."""

    port: int
    cookie: str = ""
    tab: str = field(default_factory=lambda: uuid4().hex)
    config: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def come(cls, port: int) -> Talker:
        """Opens the page."""
        talker = cls(port)
        with talker._request("GET", "/", accept="text/html") as page:
            talker.cookie = str(page.getheader("set-cookie")).partition(";")[0]
        with talker._request("GET", "/config") as config:
            talker.config = json.load(config)
        return talker

    def say(self, text: str) -> Iterator[str]:
        """Sends a message; what the server tells of it, from its place in the queue to its end."""
        listener = self._listener("message", "submit")
        data = [self._value(id, {"text": text, "files": []}) for id in listener["inputs"]]
        asked = {"data": data, "fn_index": listener["id"], "session_hash": self.tab}
        with self._request("POST", "/gradio_api/queue/join", json.dumps(asked)) as joined:
            joined.read()
        with self._request("GET", f"/gradio_api/queue/data?session_hash={self.tab}") as told:
            while line := told.readline():
                if line.startswith(b"data:"):
                    yield line.decode()
                    if b'"process_completed"' in line:
                        return

    def _listener(self, name: str, event: str) -> dict[str, Any]:
        part = next(each["id"] for each in self.config["components"] if each["props"].get("elem_id") == name)
        return next(
            each for each in self.config["dependencies"] if [part, event] in map(list, each["targets"])
        )

    def _value(self, id: int, message: dict[str, Any]) -> Any:
        props = next(each["props"] for each in self.config["components"] if each["id"] == id)
        return message if props.get("elem_id") == "message" else props.get("value")

    @contextmanager
    def _request(
        self, method: str, path: str, body: str = "", accept: str = "*/*"
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"content-type": "application/json", "accept": accept, "cookie": self.cookie}
        with closing(connection):
            connection.request(method, path, body or None, headers)
            with connection.getresponse() as response:
                yield response
