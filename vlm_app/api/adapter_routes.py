"""Adapters over HTTP, for who may use them: one is downloaded as a zip, or brought as one."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from vlm_app.api.people import person_of
from vlm_app.api.replies import NEVER, owner_of, sentence_on_error, slug
from vlm_app.finetune.adapters import Adapters, check_zip
from vlm_app.people import Act, check
from vlm_app.store.disk import Reservation


def adapter_routes(adapters: Adapters) -> list[Route]:
    """The routes of adapters, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(adapters)
    return [
        Route("/adapter", sentence_on_error(served.bring), methods=["POST"]),
        Route("/adapter/{id}", sentence_on_error(served.take)),
    ]


class Served:
    """The handlers, with what they read from."""

    def __init__(self, adapters: Adapters) -> None:
        self.adapters = adapters

    async def take(self, request: Request) -> Response:
        """The weights with PEFT's settings, a card and a README."""
        owner, id = owner_of(request), request.path_params["id"]
        card = await run_in_threadpool(self.adapters.card, owner, id)
        path = await run_in_threadpool(self.adapters.archive, owner, id)
        name = f"{slug(card.name, 'adapter')}.zip"
        return FileResponse(path, media_type="application/zip", filename=name, headers=NEVER)

    async def bring(self, request: Request) -> Response:
        """`?name=…` with the zip as the body; answers with the id of the new adapter."""
        owner, name = owner_of(request), request.query_params.get("name", "")
        check(person_of(request), Act.BRING)
        with await run_in_threadpool(self.adapters.room, owner) as room, self.adapters.arriving() as path:
            try:
                await _written(request, path, room)
            except ClientDisconnect:
                return Response(status_code=204)
            id = await run_in_threadpool(self.adapters.take_in, owner, path, name, room)
        return JSONResponse({"id": id}, headers=NEVER)


async def _written(request: Request, path: Path, room: Reservation) -> None:
    """Writes the body as it comes, so that its size needs no memory; what is announced as too large,
    is not read."""
    announced = request.headers.get("content-length", "")
    count = 0
    check_zip(room, int(announced) if announced.isdigit() else 0)
    with path.open("wb") as file:
        async for piece in request.stream():
            count += len(piece)
            check_zip(room, count)
            await run_in_threadpool(file.write, piece)
