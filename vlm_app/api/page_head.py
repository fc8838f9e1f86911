"""What a browser reads of the page before its scripts run, and what a preview of a link shows.

Gradio's page names Gradio there, and finds its manifest at the top of the host, where behind a proxy
with a path something else is served.
"""

from __future__ import annotations

import re
from functools import partial
from html import escape
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app.api.held_back import held_back
from vlm_app.settings import settings

TITLE = "vlm-app"
ABOUT = "Ask about an image, and see what the answer refers to."
THEIRS = re.compile(r'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>')


def manifest() -> dict[str, Any]:
    """For who puts the app among those of their device."""
    root = settings().root_path
    icon = {"src": f"{root}/favicon.ico", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}
    return {"name": TITLE, "icons": [icon], "start_url": f"{root}/", "display": "standalone"}


def headed(html: str, script: str = "", sheet: str = "") -> str:
    """The page with our names and addresses in place of Gradio's, and with our own script and sheet.

    The sheet stands in the body: Gradio adds those of its components at the end of the head, and the
    last one counts.
    """
    root = escape(settings().root_path, quote=True)
    ours = (
        f"<title>{TITLE}</title>"
        f'<link rel="icon" type="image/svg+xml" href="{root}/favicon.ico">'
        # with cookies: where everybody signs in, it is for those who did
        f'<link rel="manifest" href="{root}/manifest.json" crossorigin="use-credentials">'
        f'<meta property="og:title" content="{TITLE}"><meta property="og:type" content="website">'
        f'<meta property="og:description" content="{ABOUT}"><meta name="description" content="{ABOUT}">'
        '<meta name="referrer" content="same-origin">'
        f'<link rel="preload" as="style" href="{sheet}"><script defer src="{script}"></script>'
    )
    html = THEIRS.sub("", html).replace("<head>", f"<head>{ours}", 1)
    return html.replace("<gradio-app", f'<link rel="stylesheet" href="{sheet}"><gradio-app', 1)


class PageHead:
    """Puts it into the page. Plain ASGI; it stands inside of what compresses."""

    def __init__(self, app: ASGIApp, script: str = "", sheet: str = "") -> None:
        """`script` and `sheet` are addresses."""
        self.app = app
        self._headed = partial(headed, script=script, sheet=sheet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, held_back(send, self._with_head, _is_page))

    async def _with_head(self, start: Message, body: bytes) -> bytes:
        return self._headed(body.decode()).encode() if body else b""


def _is_page(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")
