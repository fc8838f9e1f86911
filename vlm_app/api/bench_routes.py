"""What lies on the workbench over HTTP: pages, files and exports, each for its owner only."""

from __future__ import annotations

import mimetypes

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from vlm_app.api.replies import FOREVER, attachment, image_type, owner_of, sentence_on_error, side_of, slug
from vlm_app.grounding import formats
from vlm_app.workbench.bench import Bench


def bench_routes(bench: Bench) -> list[Route]:
    """The workbench's own routes, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(bench)
    return [
        Route("/bench/{sheet}/file", sentence_on_error(served.file)),
        Route("/bench/{sheet}/{key}", sentence_on_error(served.page)),
        Route("/findings/{id}/export.{format}", sentence_on_error(served.export)),
    ]


class Served:
    """The handlers, with what they read from."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def page(self, request: Request) -> Response:
        """A page of a sheet, or with `?side=160` a smaller copy of it. What it shows never changes."""
        where = (owner_of(request), request.path_params["sheet"], request.path_params["key"])
        if "side" in request.query_params:
            side = side_of(request.query_params["side"])
            data = await run_in_threadpool(self.bench.thumbnail, *where, side)
        else:
            data = await run_in_threadpool(self.bench.shown, *where)
        return Response(data, media_type=image_type(data), headers=FOREVER)

    async def file(self, request: Request) -> Response:
        """The document or the video itself, also in parts, as players ask for it."""
        owner, id = owner_of(request), request.path_params["sheet"]
        sheet = await run_in_threadpool(self.bench.sheet, owner, id)
        file = await run_in_threadpool(self.bench.file, owner, id)
        return FileResponse(file.path, media_type=file.media_type, filename=sheet.name, headers=FOREVER)

    async def export(self, request: Request) -> Response:
        """A finding as a file of one of `grounding.formats.FORMATS`."""
        owner, id = owner_of(request), request.path_params["id"]
        chosen = formats.named(request.path_params["format"])
        data, title = await run_in_threadpool(self._exported, owner, id, chosen)
        media_type = mimetypes.guess_type(f"a{chosen.suffix}")[0] or "application/octet-stream"
        return attachment(data, media_type, f"{slug(title, 'finding')}{chosen.suffix}")

    def _exported(self, owner: str, id: str, chosen: formats.Format) -> tuple[bytes, str]:
        finding = self.bench.finding(owner, id)
        title = f"{self.bench.sheet(owner, finding.sheet).name} {finding.question.task}"
        return chosen.write(self.bench.result(owner, id)), title
