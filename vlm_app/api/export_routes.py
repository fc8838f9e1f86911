"""All chats of an owner as one file, for whoever leaves or whose place does not last."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from vlm_app.api.replies import NEVER, owner_of, sentence_on_error, slug
from vlm_app.chat import Chats
from vlm_app.errors import NotFound
from vlm_app.settings import settings

FOLDER = "cache/exports"  # of the data folder; what is left there is swept


def export_routes(chats: Chats) -> list[Route]:
    """The route, for `launch(app_kwargs={"routes": ...})`."""

    async def export(request: Request) -> Response:
        """A zip with a JSON file of each chat, which 'Import a chat' reads."""
        path = await run_in_threadpool(_packed, chats, owner_of(request))
        gone = BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(
            path, media_type="application/zip", filename="chats.zip", headers=NEVER, background=gone
        )

    return [Route("/chats/export.zip", sentence_on_error(export))]


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
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        for number, chat in enumerate(found, 1):
            whole.writestr(f"{number:03}-{slug(chat.title)}.json", chats.export_json(owner, chat.id))
