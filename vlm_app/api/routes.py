"""Pictures, exports and examples over HTTP. Whatever belongs to somebody checks the owner."""

from __future__ import annotations

import io
import re
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from vlm_app import __version__, grounding, media
from vlm_app.api.drawn import regions_of
from vlm_app.chat import Chats
from vlm_app.errors import AppError, NotFound
from vlm_app.store import Store, new_id

SIDES = (32, 2048)  # smallest and largest thumbnail, in pixels
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
NEVER = {"cache-control": "no-store"}
Handler = Callable[[Request], Awaitable[Response]]


def routes(store: Store, chats: Chats, examples: Path) -> list[Route]:
    """The app's own routes, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(store, chats, examples)
    return [
        Route("/health", _sentence_on_error(served.health)),
        Route("/media/{id}", _sentence_on_error(served.picture)),
        Route("/media/{id}/answer/{message}", _sentence_on_error(served.answer)),
        Route("/chats/{id}/export.{kind}", _sentence_on_error(served.export)),
        Route("/examples/{name}", _sentence_on_error(served.example)),
    ]


class Served:
    """The handlers, with what they read from."""

    def __init__(self, store: Store, chats: Chats, examples: Path) -> None:
        self.store = store
        self.chats = chats
        self.examples = examples
        self.started = new_id()

    async def health(self, request: Request) -> Response:
        """The server is alive; says nothing about models. `started` is another one after a restart."""
        return JSONResponse({"status": "ok", "version": __version__, "started": self.started})

    async def picture(self, request: Request) -> Response:
        """A stored picture, or with `?side=320` a smaller copy of it."""
        owner, media_id = _owner(request), request.path_params["id"]
        if "side" not in request.query_params:
            path = await run_in_threadpool(self.store.picture_path, owner, media_id)
            return FileResponse(path, media_type="image/png", headers=FOREVER)
        side = _side(request.query_params["side"])
        picture = await run_in_threadpool(self.store.picture, owner, media_id)
        data = await run_in_threadpool(media.thumbnail, picture, side)
        return Response(data, media_type=_image_type(data), headers=FOREVER)

    async def answer(self, request: Request) -> Response:
        """A picture with the regions that one answer drew on it, in its own pixels."""
        owner, media_id = _owner(request), request.path_params["id"]
        number = request.query_params.get("given", "")
        given = int(number) if re.fullmatch(r"[0-9]{1,5}", number) else None
        data = await run_in_threadpool(self._drawn, owner, media_id, request.path_params["message"], given)
        return Response(data, media_type="image/png", headers=NEVER)

    def _drawn(self, owner: str, media_id: str, message_id: str, given: int | None) -> bytes:
        picture = self.store.picture(owner, media_id)
        regions = regions_of(self.store, self.chats, owner, message_id, media_id, given)
        return media.png_bytes(grounding.draw(picture.pixels, regions))

    async def export(self, request: Request) -> Response:
        """A chat as a file: `json` with its pictures inside, or `md`."""
        owner, chat_id, kind = _owner(request), request.path_params["id"], request.path_params["kind"]
        conversation = await run_in_threadpool(self.chats.open, owner, chat_id)
        if kind == "json":
            data = await run_in_threadpool(self.chats.export_json, owner, chat_id)
            return _attachment(data, "application/json", f"{_slug(conversation.title)}.json")
        if kind == "md":
            text = await run_in_threadpool(self.chats.export_markdown, owner, chat_id)
            return _attachment(
                text.encode(), "text/markdown; charset=utf-8", f"{_slug(conversation.title)}.md"
            )
        raise NotFound("A chat is exported as json or md.")

    async def example(self, request: Request) -> Response:
        """One of the pictures on the first screen."""
        known = {path.name: path for path in self.examples.glob("*.png")}
        path = known.get(request.path_params["name"])
        if path is None:
            raise NotFound("There is no such example.")
        return FileResponse(path, media_type="image/png", headers={"cache-control": "max-age=3600"})


def _owner(request: Request) -> str:
    owner = getattr(request.state, "owner", None)
    if owner is None:
        raise NotFound("There is nothing here for a visitor without this app's cookie.")
    return str(owner)


def _side(text: str) -> int:
    digits = text if re.fullmatch(r"[0-9]{1,5}", text) else "320"
    return min(max(int(digits), SIDES[0]), SIDES[1])


def _image_type(data: bytes) -> str:
    return "image/webp" if data[8:12] == b"WEBP" else "image/png"


def _slug(title: str) -> str:
    """A file name from a chat's title: plain letters only, so that no header can be broken."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "chat"


def _attachment(data: bytes, media_type: str, name: str) -> Response:
    headers = {**NEVER, "content-disposition": f'attachment; filename="{name}"'}
    return Response(io.BytesIO(data).getvalue(), media_type=media_type, headers=headers)


def _sentence_on_error(handler: Handler) -> Handler:
    """An AppError becomes its sentence: 404 where something is missing, else 400."""

    @wraps(handler)
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except NotFound as error:
            return PlainTextResponse(error.sentence, 404, headers=NEVER)
        except AppError as error:
            return PlainTextResponse(error.sentence, 400, headers=NEVER)

    return answered
