"""Datasets come over HTTP: one request begins, one for each file, one says that all are there.

Files are written as they come, so that their size needs no memory.
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vlm_app.api.replies import NEVER, owner_of, sentence_on_error
from vlm_app.errors import BadInput
from vlm_app.finetune.arrival import Arrival
from vlm_app.finetune.arrivals import Arrivals


def arrival_routes(arrivals: Arrivals) -> list[Route]:
    """The routes of uploads, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(arrivals)
    return [
        Route("/arrivals", sentence_on_error(served.begin), methods=["POST"]),
        Route("/arrivals/{id}/file", sentence_on_error(served.file), methods=["PUT"]),
        Route("/arrivals/{id}/came", sentence_on_error(served.came), methods=["POST"]),
    ]


class Served:
    """The handlers, with what they write to."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals

    async def begin(self, request: Request) -> Response:
        """`?name=…&dataset=ID&total=BYTES`: an upload that is called so, into that dataset or a new one."""
        asked = request.query_params
        total = asked.get("total", "0")
        if not total.isascii() or not total.isdigit() or len(total) > 15:
            raise BadInput("The size of an upload is a whole number of bytes: reload the page.")
        where = (asked.get("name", ""), asked.get("dataset", ""), int(total))
        return _told(await run_in_threadpool(self.arrivals.begin, owner_of(request), *where))

    async def file(self, request: Request) -> Response:
        """`?name=…` with the file as the body. A request that breaks off ends the upload."""
        owner, id = owner_of(request), request.path_params["id"]
        name = request.query_params.get("name", "")
        receiving = await run_in_threadpool(self.arrivals.file, owner, id, name)
        try:
            async for piece in request.stream():
                await run_in_threadpool(receiving.write, piece)
        except ClientDisconnect:
            await run_in_threadpool(self.arrivals.stop, owner, id)
            return Response(status_code=204)
        finally:
            receiving.close()
        return Response(status_code=204, headers=NEVER)

    async def came(self, request: Request) -> Response:
        """All files are there."""
        return _told(
            await run_in_threadpool(self.arrivals.came, owner_of(request), request.path_params["id"])
        )


def _told(arrival: Arrival) -> Response:
    told: dict[str, Any] = {"id": arrival.id, "stage": arrival.stage}
    return JSONResponse(told, headers=NEVER)
