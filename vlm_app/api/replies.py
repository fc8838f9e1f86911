"""What all routes share: who asks, and how what they get is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from vlm_app.errors import AppError, NotAllowed, NotFound, TooMany, TooMuch

SIDES = (32, 2048)  # smallest and largest thumbnail, in pixels
FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
NEVER = {"cache-control": "no-store"}
GRADIO = "/gradio_api/"
UPLOAD = f"{GRADIO}upload"
Handler = Callable[[Request], Awaitable[Response]]


def owner_of(request: Request) -> str:
    """Raises `NotFound` for a visitor without a cookie of ours."""
    owner = getattr(request.state, "owner", None)
    if owner is None:
        raise NotFound("There is nothing here for a visitor without this app's cookie.")
    return str(owner)


def side_of(text: str) -> int:
    """The longer side of a thumbnail that was asked for, in pixels, within `SIDES`."""
    digits = text if re.fullmatch(r"[0-9]{1,5}", text) else "320"
    return min(max(int(digits), SIDES[0]), SIDES[1])


def image_type(data: bytes) -> str:
    """The media type of an image that the app has written."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/webp" if data[8:12] == b"WEBP" else "image/png"


def slug(title: str, nameless: str = "chat") -> str:
    """A file name from a title: plain letters only, so that no header can be broken."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or nameless


def attachment(data: bytes, media_type: str, name: str) -> Response:
    """A file that a browser saves under a name, which is plain letters."""
    headers = {**NEVER, "content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=media_type, headers=headers)


def refusal(path: str, sentence: str, status: int) -> Response:
    """A sentence, for Gradio's endpoints in the form in which its page shows it."""
    if not path.startswith(GRADIO) or path == UPLOAD:
        return PlainTextResponse(sentence, status, headers=NEVER)
    told = json.dumps({"detail": sentence, "error": sentence})
    return Response(told, status, NEVER, "application/json")


def sentence_on_error(handler: Handler) -> Handler:
    """An AppError becomes its sentence: 404 where something is missing, 403 where a role is not enough,
    413 and 429 where it is more than the role may have or do, else 400."""

    @wraps(handler)
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except NotFound as error:
            return PlainTextResponse(error.sentence, 404, headers=NEVER)
        except NotAllowed as error:
            return PlainTextResponse(error.sentence, 403, headers=NEVER)
        except TooMuch as error:
            return PlainTextResponse(error.sentence, 413, headers=NEVER)
        except TooMany as error:
            return PlainTextResponse(error.sentence, 429, headers=NEVER)
        except AppError as error:
            return PlainTextResponse(error.sentence, 400, headers=NEVER)

    return answered
