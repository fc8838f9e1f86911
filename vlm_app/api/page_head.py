"""What a browser reads of the page before its scripts run, and what a preview of a link shows.

Gradio's page names Gradio there, and finds its manifest at the top of the host, where behind a proxy
with a path something else is served.
"""

from __future__ import annotations

import re
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


def headed(html: str) -> str:
    """The page with our names and addresses in place of Gradio's."""
    root = escape(settings().root_path, quote=True)
    ours = (
        f"<title>{TITLE}</title>"
        f'<link rel="icon" type="image/svg+xml" href="{root}/favicon.ico">'
        # with cookies: where everybody signs in, it is for those who did
        f'<link rel="manifest" href="{root}/manifest.json" crossorigin="use-credentials">'
        f'<meta property="og:title" content="{TITLE}"><meta property="og:type" content="website">'
        f'<meta property="og:description" content="{ABOUT}"><meta name="description" content="{ABOUT}">'
    )
    return THEIRS.sub("", html).replace("<head>", f"<head>{ours}", 1)


class PageHead:
    """Puts it into the page. Plain ASGI; it stands inside of what compresses."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, held_back(send, _with_head, _is_page))


def _is_page(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")


async def _with_head(start: Message, body: bytes) -> bytes:
    return headed(body.decode()).encode() if body else b""
