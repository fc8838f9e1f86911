"""All chats of an owner as one file, for whoever leaves or whose place does not last."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from vlm_app.api.replies import NEVER, owner_of, sentence_on_error, slug
from vlm_app.chat import Chats
from vlm_app.errors import NotFound, TooMuch
from vlm_app.limits import Turns
from vlm_app.settings import settings
from vlm_app.store.disk import mb

FOLDER = "cache/exports"  # of the data folder; what is left there is swept
RESERVE = 100_000_000  # bytes of the disk that stay free for what everybody else keeps meanwhile
_BUSY = (
    "All your chats are being exported already, and that is done once at a time: wait until that download "
    "ends, and try again."
)


def export_routes(chats: Chats) -> list[Route]:
    """The route, for `launch(app_kwargs={"routes": ...})`."""
    turns = Turns()

    async def export(request: Request) -> Response:
        """A zip with a JSON file of each chat, which 'Import a chat' reads."""
        owner = owner_of(request)
        with ExitStack() as until:
            until.enter_context(turns.taken(owner, 1, _BUSY))
            path = await run_in_threadpool(_packed, chats, owner)
            until.callback(path.unlink, missing_ok=True)
            return _Passing(until.pop_all(), path, filename="chats.zip", headers=NEVER)

    return [Route("/chats/export.zip", sentence_on_error(export))]


class _Passing(FileResponse):
    """A file that is gone, as is its owner's turn, once it was sent, or its reader has left."""

    def __init__(self, until: ExitStack, path: Path, **options: Any) -> None:
        super().__init__(path, media_type="application/zip", **options)
        self._until = until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._until:
            await super().__call__(scope, receive, send)


def _packed(chats: Chats, owner: str) -> Path:
    """The zip, on the disk: pictures are in it, so it may be large. Raises `NotFound` without a chat."""
    folder = settings().data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(suffix=".zip", dir=folder, delete=False) as file:
        path = Path(file.name)
        try:
            _write(chats, owner, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path


def _write(chats: Chats, owner: str, path: Path) -> None:
    found = chats.list(owner)
    if not found:
        raise NotFound("There is no chat to export yet.")
    missing = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        for number, chat in enumerate(found, 1):
            try:
                data = chats.export_json(owner, chat.id)
            except NotFound as error:  # deleted meanwhile, or an image of it is damaged
                missing.append(f"{chat.title}: {error.sentence}")
                continue
            _check_disk(path.parent, len(data))
            whole.writestr(f"{number:03}-{slug(chat.title)}.json", data)
        if missing:
            whole.writestr("not-exported.txt", "\n".join(missing) + "\n")


def _check_disk(folder: Path, more: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < more + RESERVE:
        raise TooMuch(
            f"All your chats as one file need more room than the {mb(free)} that are free on the disk: "
            "export them one by one, or try again later."
        )
