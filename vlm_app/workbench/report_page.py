"""A report as one HTML file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from vlm_app.grounding.formats.files import smaller, utf8

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlm_app.workbench.report import Shown

# Whoever opens the file from a disk has no server that would forbid anything: it does so itself.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ground: #fbfaf8; --ink: #24221f; --muted: #6b665f; --line: #e4e0d9; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #171614; --ink: #e9e6e1; --muted: #a39d94; --line: #35322d; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink); font: 16px/24px system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; overflow-wrap: anywhere;
}
main { max-width: 960px; margin: 0 auto; padding: 56px 24px 64px; }
h1 { margin: 0; font-size: 30px; line-height: 36px; font-weight: 650; letter-spacing: -0.01em; }
.about { margin: 8px 0 40px; color: var(--muted); }
article {
  display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 3fr); gap: 24px 32px; align-items: start;
  padding: 32px 0; border-top: 1px solid var(--line);
}
.part { display: block; width: auto; height: auto; max-width: 100%; max-height: 520px; border-radius: 8px; }
img { outline: 1px solid var(--line); outline-offset: -1px; }
.place { margin: 0; color: var(--muted); font-size: 14px; line-height: 20px; }
h2 { margin: 4px 0 0; font-size: 20px; line-height: 28px; font-weight: 600; }
.sentence { margin: 8px 0 0; white-space: pre-line; }
.whole {
  display: block; width: auto; height: auto; max-width: min(240px, 100%); max-height: 240px;
  margin-top: 20px; border-radius: 6px;
}
@media (max-width: 640px) { main { padding-top: 32px; } article { grid-template-columns: minmax(0, 1fr); } }
@media print {
  :root { --ground: #fff; --ink: #111; --muted: #555; --line: #ccc; }
  @page { margin: 16mm; }
  body { font-size: 11pt; line-height: 1.4; }
  main { max-width: none; padding: 0; }
  article { break-inside: avoid; padding: 8mm 0; }
  article:last-child { padding-bottom: 0; }
  .part { max-height: 110mm; }
}
"""


def page(title: str, about: str, clippings: Iterable[Shown]) -> bytes:
    """The file, in UTF-8; one picture after the other is drawn and written."""
    return utf8(
        f"""<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1 dir="auto">{escape(title)}</h1>
<p class="about">{escape(about)}</p>
{"".join(map(_article, clippings))}</main>
</body>
</html>
"""
    )


def _article(one: Shown) -> str:
    words = [f'<p class="place" dir="auto">{escape(one.place)}</p>' if one.place else ""]
    words += [f'<h2 dir="auto">{escape(one.name)}</h2>' if one.name else ""]
    words += [f'<p class="sentence" dir="auto">{escape(one.sentence)}</p>' if one.sentence else ""]
    if one.whole is not None:
        words.append(_image(one.whole, "whole", f"Where it lies: {one.place}"))
    part = _image(one.part, "part", one.name or one.sentence or one.place)
    return f"<article>\n{part}\n<div>\n{''.join(filter(None, words))}\n</div>\n</article>\n"


def _image(image: Image, kind: str, words: str) -> str:
    data = smaller(image)
    form = "png" if data.startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{form};base64,{b64encode(data).decode()}"
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img class="{kind}" src="{source}" {size} alt="{escape(words)}">'
