"""The page's own script and style sheet, made once at the start.

Gradio's `css` and `head` would put both into every page: the browser parses them anew at each load, and
Gradio's script writes the sheet anew, twice, before anything is drawn. That takes longer than all else
of our own. What it writes is written here instead, and kept by the browser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vlm_app.settings import settings

# What Gradio puts before each selector, so that it wins over those of its components; its class with
# the version counts as much as the other one twice.
WITHIN = ".gradio-container.gradio-container .contain "
OVERLAY = tuple(  # <vlm-overlay>; each part uses the ones before it
    f"{name}.js"
    for name in (
        "overlay-shapes",
        "overlay-state",
        "overlay-view",
        "overlay-panel",
        "overlay-painter",
        "overlay-gestures",
        "overlay-editing",
        "overlay",
    )
)
FINETUNE = ("finetune-datasets.js", "finetune-plots.js", "finetune-runs.js")
BENCH = ("workbench-report.js", "workbench-video.js", "workbench.js")
PAGE = tuple(
    f"{name}.js"
    for name in ("streams", "steady", "presses", "keys", "page", "sending", "teaching", "restart")
)
SCRIPTS = (*PAGE, *OVERLAY, *BENCH, *FINETUNE)


def script() -> str:
    """All that our page does in the browser by itself; it knows the path of a reverse proxy."""
    parts = [(settings().assets / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "\n".join((f'window.vlmRoot = "{settings().root_path}";', *parts))


def sheet() -> str:
    """Our style sheet as Gradio would write it."""
    return within((settings().assets / "style.css").read_text(encoding="utf-8"))


def within(css: str) -> str:
    """Each rule for the whole page and once more, stronger, for what is inside of Gradio's page;
    below `@media` only that. Rules lie in no other rule, and no text holds a brace."""
    return "\n".join(_written(re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)))


def _written(css: str) -> Iterator[str]:
    for head, body in _blocks(css):
        if head.startswith("@media"):
            inside = (f"{_strong(each, declared)} {{{declared}}}" for each, declared in _blocks(body))
            yield f"{head} {{ {' '.join(inside)} }}"
        elif head.startswith("@"):
            yield f"{head} {{{body}}}"
        else:
            yield f"{head}, {_strong(head, body)} {{{body}}}"


def _strong(selectors: str, body: str) -> str:
    """The selectors as they count inside of Gradio's page; what is dark says so outside of it."""
    dark = ".dark " if ".dark" in selectors + body else ""
    return ", ".join(f"{dark}{WITHIN}{each.strip()}" for each in selectors.replace(".dark", "", 1).split(","))


def _blocks(css: str) -> Iterator[tuple[str, str]]:
    """Pairs of what stands before a brace and what stands between it and its other one."""
    at = depth = begun = 0
    for found in re.finditer(r"[{}]", css):
        depth += 1 if found[0] == "{" else -1
        if found[0] == "{" and depth == 1:
            begun = found.start()
        elif depth == 0:
            yield css[at:begun].strip(), css[begun + 1 : found.start()]
            at = found.end()
