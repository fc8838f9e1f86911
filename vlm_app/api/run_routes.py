"""What belongs to a run over HTTP, for its owner only: pictures, its settings, the end of its log."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from vlm_app.api.replies import FOREVER, NEVER, attachment, owner_of, sentence_on_error
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.run_file import run_file
from vlm_app.finetune.runs import Run, Runs
from vlm_app.store.images import ImageFolder

LOG_BYTES = 8_000  # of the end of a log
_WAY = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^\s\"'<>:,()/\\]+[/\\])+")  # to a file, without its name


def run_routes(runs: Runs) -> list[Route]:
    """The routes of runs, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(runs)
    return [
        Route("/runs/{id}/pictures/{sha256}", sentence_on_error(served.picture)),
        Route("/runs/{id}/run.toml", sentence_on_error(served.file)),
        Route("/runs/{id}/log", sentence_on_error(served.log)),
    ]


class Served:
    """The handlers, with what they read from."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    async def picture(self, request: Request) -> Response:
        """A picture that a run learns from or is scored on, by its hash."""
        run = await self._run(request)
        try:
            path = ImageFolder(run.folder.path / "data" / "images").path(request.path_params["sha256"])
        except ValueError as error:
            raise NotFound("A picture is named by its hash.") from error
        if not path.is_file():
            raise NotFound("This run has no such picture.")
        return FileResponse(path, media_type="image/png", headers=FOREVER)

    async def file(self, request: Request) -> Response:
        """The settings as `vlm-app finetune` takes them."""
        run = await self._run(request)
        if run.config is None:
            raise BadInput(run.status.sentence)
        text = run_file(run.config, run.data.name if run.data else "")
        return attachment(text.encode(), "application/toml", "run.toml")

    async def log(self, request: Request) -> Response:
        """The end of what the process of a run printed, without the ways to files of this computer."""
        run = await self._run(request)
        text = await run_in_threadpool(end_of_log, run)
        return PlainTextResponse(text, headers=NEVER)

    async def _run(self, request: Request) -> Run:
        return await run_in_threadpool(self.runs.run, owner_of(request), request.path_params["id"])


def end_of_log(run: Run) -> str:
    """The last lines that its process printed."""
    try:
        with run.folder.log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return "It printed nothing."
    whole = text if size <= LOG_BYTES else text.partition("\n")[2]
    return _WAY.sub("…/", whole) or "It printed nothing."
