"""A visitor without a browser: asks a running app what its page asks, in the same order."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4


@dataclass
class Walker:
    """One tab of one visitor, at a port of the loopback."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # that the place adds to each request
    tab: str = field(default_factory=lambda: uuid4().hex)
    config: dict[str, Any] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)  # of the parts of the page, as they are now

    @classmethod
    def come(cls, url: str) -> Walker:
        """Opens the page."""
        walker = cls(int(url.rpartition(":")[2]))
        head, _ = walker._ask("GET", "/", accept="text/html")
        walker.cookie = str(head.getheader("set-cookie")).partition(";")[0]
        walker.config = json.loads(walker._ask("GET", "/config")[1])
        walker.values = {each["id"]: each["props"].get("value") for each in walker.config["components"]}
        return walker

    def open(self) -> None:
        """What the page asks for first."""
        self._do(next(each for each in self._listeners("then") if self._id("model") in each["outputs"]))

    def press(self, **event: Any) -> str:
        """A button that asks for an answer: all that the server tells of it, to its end."""
        return self._do(next(each for each in self._listeners("submit", "bridge")), event)

    def offers(self) -> str:
        """What stands under the first screen, as the page asks for it when it hears of news."""
        part = self._id("offers")
        self._do(next(each for each in self._listeners("click", "news") if part in each["outputs"]))
        return str(self.values[part])

    def until(self, words: str, seconds: float = 120.0) -> str:
        """Waits until these words stand under the first screen."""
        end = time.monotonic() + seconds
        while words not in (said := self.offers()) and time.monotonic() < end:
            time.sleep(0.5)
        return said

    def shown(self, name: str) -> Any:
        """The value of a part of the page."""
        return self.values[self._id(name)]

    def choices(self, name: str) -> list[str]:
        """What can be picked, as the page begins."""
        return [value for _, value in self._part(name)["props"]["choices"]]

    def said(self, words: str) -> int:
        """How many parts of the page hold these words."""
        return sum(words in value for value in self.values.values() if isinstance(value, str))

    def visible(self, name: str) -> bool:
        """Whether a part and all that it stands in are shown."""
        return self._within(self.config["layout"], self._id(name), True)

    # --- how --------------------------------------------------------------------------------------

    def _do(self, listener: Mapping[str, Any], event: Mapping[str, Any] | None = None) -> str:
        asked = {
            "data": [self.values[id] for id in listener["inputs"]],
            "event_data": event,
            "fn_index": listener["id"],
            "session_hash": self.tab,
        }
        self._ask("POST", "/gradio_api/queue/join", json.dumps(asked))
        told = self._ask("GET", f"/gradio_api/queue/data?session_hash={self.tab}", last="process_completed")[
            1
        ]
        for line in told.splitlines():
            message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if message.get("msg") == "process_completed":
                self._take(listener["outputs"], message["output"].get("data") or [])
        return told

    def _take(self, parts: list[int], data: list[Any]) -> None:
        for part, value in zip(parts, data, strict=False):
            if not (isinstance(value, dict) and value.get("__type__") == "update"):
                self.values[part] = value
            elif "value" in value:
                self.values[part] = value["value"]

    def _ask(
        self, method: str, path: str, body: str = "", accept: str = "*/*", last: str = ""
    ) -> tuple[http.client.HTTPResponse, str]:
        """The answer and its text; of one that never ends, up to the line with `last`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        headers = {"content-type": "application/json", "accept": accept, "cookie": self.cookie} | self.headers
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        try:
            if not last:
                return response, response.read().decode()
            lines: list[str] = []
            while (line := response.readline().decode()) and not (lines and last in lines[-1]):
                lines.append(line)
            return response, "".join(lines)
        finally:
            connection.close()

    def _listeners(self, event: str, name: str = "") -> list[dict[str, Any]]:
        return [
            each
            for each in self.config["dependencies"]
            if any(on == event and (not name or part == self._id(name)) for part, on in each["targets"])
        ]

    def _within(self, node: dict[str, Any], id: int, shown: bool) -> bool:
        props = next((each["props"] for each in self.config["components"] if each["id"] == node["id"]), {})
        shown = shown and props.get("visible", True) is not False
        if node["id"] == id:
            return shown
        return any(self._within(each, id, shown) for each in node.get("children", ()))

    def _part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            each for each in self.config["components"] if each["props"].get("elem_id") == name
        )
        return found

    def _id(self, name: str) -> int:
        return int(self._part(name)["id"])
