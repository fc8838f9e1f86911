"""The whole app with an engine that has no model: `python -m tests.strangers.app PORT`.

It writes down what it serves, into `served.json` of its data folder: every route, and every function
that the page's server runs, with the components that it reads.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from gradio.routes import App

from tests.browser import fake_app
from vlm_app.settings import settings

make = App.create_app


def written(blocks: Any, *words: Any, **named: Any) -> App:
    """Gradio's app; what it serves is in the file."""
    app = make(blocks, *words, **named)
    told = {"routes": sorted(routes(app.router.routes)), "functions": list(functions(blocks))}
    (settings().data / "served.json").write_text(json.dumps(told))
    return app


def routes(found: Any) -> Iterator[tuple[str, str]]:
    for route in found:
        inner = getattr(route, "original_router", route)
        if hasattr(inner, "routes"):
            yield from routes(inner.routes)
            continue
        for method in sorted(set(route.methods or ()) - {"HEAD"}):
            yield method, route.path


def functions(blocks: Any) -> Iterator[dict[str, Any]]:
    for number, each in blocks.fns.items():
        if each.fn is not None:
            reads = [
                (part.elem_id or type(part).__name__, getattr(part, "value", None)) for part in each.inputs
            ]
            name = f"{type(getattr(each.fn, '__self__', None)).__name__}.{each.name}"
            plain = [
                (id, value if isinstance(value, str | int | float | list) else None) for id, value in reads
            ]
            yield {"number": number, "name": name, "inputs": plain, "queue": each.queue is not False}


if __name__ == "__main__":
    App.create_app = staticmethod(written)
    fake_app.main(int(sys.argv[1]), 0.002)
