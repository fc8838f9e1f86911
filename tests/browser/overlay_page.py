"""A page on the loopback with nothing but `<vlm-overlay>`, delivered as the app delivers it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from PIL import Image, ImageDraw

from vlm_app.api.middleware import PAGE_POLICY
from vlm_app.ui.dress import OVERLAY

ASSETS = Path(__file__).resolve().parents[2] / "assets"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
DARK_INK = {"#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#009E73"}

# The tokens of ui/theme.py that the style sheet uses; the page has no Gradio.
TOKENS = """
body { margin: 0; padding: 24px; font: 14px/20px system-ui, sans-serif;
  --body-background-fill: #fbfaf8; --body-text-color: #24221f; --body-text-color-subdued: #6b665f;
  --background-fill-primary: #fff; --background-fill-secondary: #f3f1ed; --border-color-primary: #e4e0d9;
  --link-text-color: #2f6f6a; --color-accent: #2f6f6a; --color-accent-soft: #e6efed;
  color: var(--body-text-color); }
body.dark { --body-background-fill: #171614; --body-text-color: #e9e6e1; --body-text-color-subdued: #a39d94;
  --background-fill-primary: #211f1c; --background-fill-secondary: #1c1a18; --border-color-primary: #35322d;
  --link-text-color: #6fb8b0; --color-accent-soft: #22302e; color-scheme: dark; }
"""


def page_html(phrases: str = "", theme: str = "light") -> str:
    """The page; `phrases` is HTML in the same scope as the overlay."""
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in OVERLAY)
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<style>{TOKENS}</style><link rel="stylesheet" href="/style.css"><script>{script}</script></head>'
        f'<body class="{theme}"><main data-overlay-scope><p>{phrases}</p><vlm-overlay controls></vlm-overlay>'
        "</main></body></html>"
    )


@contextmanager
def served(page: str, pictures: Mapping[str, bytes]) -> Iterator[str]:
    """The address of the page, under the app's content security policy."""
    css = (ASSETS / "style.css").read_bytes()
    files = {"/": ("text/html", page.encode()), "/style.css": ("text/css", css)}
    files |= {f"/{name}": ("image/png", data) for name, data in pictures.items()}

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, data = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in files else 404)
            self.send_header("content-type", kind)
            self.send_header("content-security-policy", PAGE_POLICY)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def scene(width: int, height: int) -> bytes:
    """A quiet picture with a few shapes, as PNG."""
    image = Image.new("RGB", (width, height), "#dfe5e8")
    draw = ImageDraw.Draw(image)
    for index in range(0, width, max(width // 12, 1)):
        shade = 190 + index * 40 // width
        draw.rectangle((index, 0, index + width // 24, height), fill=(shade, shade + 4, shade + 10))
    draw.ellipse((width * 0.1, height * 0.2, width * 0.3, height * 0.5), fill="#a54a3f")
    draw.rectangle((width * 0.5, height * 0.3, width * 0.8, height * 0.6), fill="#31546b")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def region(key: str, label: str, colour: int = 0, **more: Any) -> dict[str, Any]:
    """A region as the page gives it; `more` is its shape under `box`, `point`, `polygon` or `mask`."""
    kind = next(name for name in ("box", "point", "polygon", "mask") if name in more)
    picked = COLOURS[colour % len(COLOURS)]
    ink = "#111111" if picked in DARK_INK else "#FFFFFF"
    looks = {"colour": picked, "ink": ink, "maker": "Pebble", "edited": False}
    return {"key": key, "label": label, "kind": kind} | looks | more


def data(regions: Sequence[Mapping[str, Any]], size: tuple[int, int], **more: Any) -> dict[str, Any]:
    """What the overlay's `data` takes, for the picture `/scene.png`."""
    picture = {"src": "/scene.png", "width": size[0], "height": size[1], "name": "scene.png"}
    return {"picture": picture, "regions": list(regions), "editable": False, "hidden": []} | more


def as_script(value: Any) -> str:
    """A value as JavaScript that also survives inside a script element."""
    return json.dumps(value).replace("<", "\\u003c")
