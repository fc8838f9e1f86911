"""`vlm-app serve`: the page."""

from __future__ import annotations

import argparse
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.settings import choose


def add(commands: Any) -> None:
    """Its arguments."""
    serve = commands.add_parser("serve", help="serve the page", description=run.__doc__)
    serve.add_argument("--host", help="address to serve on; 0.0.0.0 for all")
    serve.add_argument("--port", type=int, help="port to serve on")
    serve.add_argument(
        "--root-path", metavar="PATH", help="path under which a reverse proxy serves the page, such as /vlm"
    )
    serve.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page."""
    from vlm_app.doctor.network import port
    from vlm_app.engine import set_library_defaults

    set_library_defaults()  # before gradio is imported, which imports the Hub's client
    from vlm_app.ui import serve

    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        raise BadInput(f"A port lies between 0 and 65535, found {arguments.port}.")
    chosen = choose(host=arguments.host, port=arguments.port, root_path=arguments.root_path)
    place = port(chosen.host, chosen.port)
    if place.advice:
        raise BadInput(f"{place.found}: {place.advice[:1].lower()}{place.advice[1:]}")
    serve()
    return 0
