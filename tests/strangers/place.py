"""The app with two visitors: one has things of every kind, and the other one is a stranger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.browser.conftest import Server, served
from tests.strangers.theirs import SESSION, WORD, Browser, Theirs, adapter, made
from vlm_app.api.owner import Owners
from vlm_app.settings import ROOT


@dataclass(frozen=True)
class Place:
    """The app, one visitor with things of every kind, and a stranger."""

    server: Server
    theirs: Theirs
    owner: Browser
    stranger: Browser
    told: Mapping[str, Any]

    def functions(self, name: str = "") -> list[Mapping[str, Any]]:
        return [each for each in self.told["functions"] if name in ("", each["name"])]

    def carried(self, act: str) -> dict[str, Any]:
        """What a button of the owner's page would carry, whatever it is for."""
        ids = {name: self.theirs[name] for name in ("chat", "message", "sheet", "finding", "page", "dataset")}
        ids |= {name: self.theirs[name] for name in ("example", "arrival", "run", "adapter")}
        form = {"dataset": self.theirs["dataset"], "base": "pebble", "name": "stolen"}
        more = {
            "drop": ids["example"],
            "key": ids["page"],
            "keys": [ids["page"]],
            "form": form,
            "regions": [],
        }
        more |= {"look": {"open": ids["run"], "other": ids["run"]}, "model": "pebble", "precision": "auto"}
        more |= {"index": 0, "given": 0, "seconds": 0, "count": 1, "state": "waiting", "number": 1}
        more |= dict.fromkeys(("title", "name", "text", "server", "family", "repo", "token"), "stolen")
        return {**ids, **more, "texts": ["stolen"], "act": act}

    def data(self, function: Mapping[str, Any], texts: tuple[str, str]) -> list[Any]:
        """Inputs as if the owner's things were shown; fields without a name get one of the two texts."""
        given = {"chat": self.theirs["chat"], "message": {"text": "what?", "files": []}, "model": "pebble"}
        given |= {"adapter": self.theirs["adapter"], "bench-model": "pebble"}
        unnamed = iter(texts * 9)
        return [
            given.get(id, next(unnamed) if id == "Textbox" else value) for id, value in function["inputs"]
        ]

    def _unnamed(self, function: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Fields without a name hold a sheet and a finding, one way round or the other."""
        both = (self.theirs["sheet"], self.theirs["finding"])
        several = [id for id, _ in function["inputs"]].count("Textbox") > 1
        return [both, both[::-1]] if several else [both]

    @property
    def uploads(self) -> Path:
        return self.server.data / "cache" / "uploads"

    def pressed(self, who: Browser, name: str, act: str, session: str) -> None:
        """The function of that name is asked for by that act; several listeners may share one."""
        for function in self.functions(name)[:1]:
            for texts in self._unnamed(function):
                event = self.carried(act) if act else None
                assert who.joined(function["number"], self.data(function, texts), event, session).is_success


@contextmanager
def opened(data: Path) -> Iterator[Place]:
    """The app runs in that folder."""
    theirs = made(data)
    away = {"HF_HOME": str(data / "hub"), "GRADIO_TEMP_DIR": str(data / "cache" / "uploads")}
    with served(data, "-m", "tests.strangers.app", "PORT", **away) as server:
        owner, stranger = Browser(server.url, theirs.cookie), Browser(server.url, Owners(data).new()[1])
        more = {
            "adapter": owner.ask("POST", f"/adapter?name={WORD}.zip", content=adapter()).json()["id"],
            "arrival": owner.ask("POST", f"/arrivals?name={WORD}&total=9").json()["id"],
            "file": owner.upload(f"{WORD}.png", b"x"),
            "session": SESSION,
            "sha256": next(path.stem for path in (data / "runs").rglob("*.png")),
        }
        told = json.loads((data / "served.json").read_text())
        yield Place(server, replace(theirs, ids={**theirs.ids, **more}), owner, stranger, told)
        owner.http.close()
        stranger.http.close()


def bare(text: str, place: Place) -> bool:
    """Whether nothing in it tells of this computer, of the program's inside, or of a key."""
    secret = (place.server.data / "secret").read_text()
    told = (str(place.server.data), str(ROOT), "site-packages", "Traceback", secret, place.theirs.owner)
    return not any(each in text for each in told) and not re.search(r"\b0x[0-9a-f]{6,}", text)


def guarded(answer: Any) -> bool:
    """Whether a response carries this app's rules."""
    headers = answer.headers
    return (
        "default-src" in headers.get("content-security-policy", "")
        and "frame-ancestors" in headers["content-security-policy"]
        and headers.get("x-content-type-options") == "nosniff"
        and headers.get("referrer-policy") == "same-origin"
        and headers.get("cross-origin-resource-policy") == "same-origin"
        and not any(name.startswith("access-control-") for name in headers)
    )
