"""`/news`: whether something changed by itself, for pages that are open. It costs next to nothing,
where asking for what a page shows costs its browser a tenth of a second."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlm_app import hub, servers
from vlm_app.api.replies import NEVER
from vlm_app.engine import ModelState
from vlm_app.engine.events import Event, Listener
from vlm_app.engine.opening import opening
from vlm_app.store import new_id


class Models(Protocol):
    """What is asked of the engine."""

    def subscribe(self, listener: Listener, /) -> Callable[[], None]: ...
    def models(self) -> Sequence[ModelState]: ...


class News:
    """What every page shows of models that nobody touched on it, as a name that changes with it."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._started = new_id()
        self._events = 0
        models.subscribe(self._heard)

    def _heard(self, event: Event) -> None:
        self._events += 1

    async def reply(self, request: Request) -> Response:
        """`news` is another one after a change, and `started` after a restart; nobody can read them."""
        news = await run_in_threadpool(self._name)
        return JSONResponse({"started": self._started, "news": news}, headers=NEVER)

    def _name(self) -> str:
        peers = [(each, health := servers.health(each.name), health.resting) for each in servers.servers()]
        now = (self._started, self._events, self._models.models(), hub.reachable(), opening().why, peers)
        return hashlib.sha256(repr(now).encode()).hexdigest()[:16]


def news_routes(models: Models) -> list[Route]:
    """The route, for `launch(app_kwargs={"routes": ...})`."""
    return [Route("/news", News(models).reply)]
