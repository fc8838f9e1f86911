"""`/ready`: whether a model answers, for whoever sends visitors here only then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlm_app import __version__
from vlm_app.api.replies import NEVER
from vlm_app.engine import ModelState
from vlm_app.engine.events import Answered, Event, Listener, Loaded, LoadFailed
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Finish

RETRY_SECONDS = 5


class Models(Protocol):
    """What is asked of the engine."""

    def subscribe(self, listener: Listener, /) -> Callable[[], None]: ...
    def state(self, model: str, /) -> ModelState: ...


class Readiness:
    """Whether a model answers: one was loaded or has answered, and could be loaded since.

    A model that left the memory because nobody used it still answers: it loads when it is
    asked. Else nobody would ever be sent here again. An answer that failed counts for
    nothing, as anybody's question could bring that about.
    """

    def __init__(self, models: Models, ending: Callable[[], bool]) -> None:
        self._models = models
        self._ending = ending
        self._able: set[str] = set()
        models.subscribe(self._heard)

    def _heard(self, event: Event) -> None:
        if isinstance(event, LoadFailed):
            self._able.discard(event.model)
        elif isinstance(event, Loaded) or (
            isinstance(event, Answered) and event.finish in (Finish.STOP, Finish.LENGTH)
        ):
            self._able.add(event.model)

    async def reply(self, request: Request) -> Response:
        """200 where a model answers, else 503 and how the first one is; no more is said to strangers.

        503 also while the app ends: running answers are finished, and nothing new is begun.
        """
        status = "ending" if self._ending() else "ready" if self._able else self._first()
        said = {"status": status, "version": __version__}
        if status == "ready":
            return JSONResponse(said, headers=NEVER)
        return JSONResponse(said, 503, headers={**NEVER, "retry-after": str(RETRY_SECONDS)})

    def _first(self) -> str:
        """The state of the model that the page opens with; one on a server is never loaded here."""
        try:
            return self._models.state(settings().model).status
        except ModelUnavailable:
            return "failed"


def ready_routes(models: Models, ending: Callable[[], bool]) -> list[Route]:
    """The route, for `launch(app_kwargs={"routes": ...})`. `ending` says whether the app is."""
    return [Route("/ready", Readiness(models, ending).reply)]
