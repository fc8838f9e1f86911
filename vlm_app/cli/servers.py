"""`vlm-app servers`: servers that speak the OpenAI protocol, and their models."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from vlm_app import servers
from vlm_app.servers import KINDS, Server


def add(commands: Any) -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "servers", help="list, add and remove servers of models", description=run.__doc__
    )
    parser.set_defaults(run=run)
    verbs = parser.add_subparsers(metavar="VERB")

    new = verbs.add_parser("add", help="add a server, or change one, and look for its models")
    new.add_argument("name", help="what its models are asked for by: NAME/MODEL")
    new.add_argument("url", help="its address, as http://127.0.0.1:8000/v1")
    new.add_argument("--kind", default="other", choices=KINDS, help="what runs there")
    new.add_argument("--key", action="store_true", help="ask for its key, which is kept in a file of its own")
    new.set_defaults(run=_add)

    found = verbs.add_parser("refresh", help="look for a server's models again")
    found.add_argument("name")
    found.set_defaults(run=_refresh)

    family = verbs.add_parser("family", help="say how a server's model speaks")
    family.add_argument("name")
    family.add_argument("model")
    family.add_argument("family")
    family.set_defaults(run=_family)

    gone = verbs.add_parser("remove", help="forget a server with its key")
    gone.add_argument("name")
    gone.set_defaults(run=_remove)


def run(arguments: argparse.Namespace) -> int:
    """List the servers that were added, each with its models and their families."""
    for server in servers.servers():
        _show(server)
    if not servers.servers():
        print("No server was added yet: vlm-app servers add NAME URL --kind KIND.", file=sys.stderr)
    return 0


def _add(arguments: argparse.Namespace) -> int:
    key = getpass.getpass("Key: ") if arguments.key else ""
    servers.add(arguments.name, arguments.url, arguments.kind, key)
    _show(servers.discover(arguments.name.strip().lower()))
    return 0


def _refresh(arguments: argparse.Namespace) -> int:
    _show(servers.discover(arguments.name))
    return 0


def _family(arguments: argparse.Namespace) -> int:
    _show(servers.assign(arguments.name, arguments.model, arguments.family))
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    servers.remove(arguments.name)
    return 0


def _show(server: Server) -> None:
    key = servers.key_place(server)
    print(f"{server.name}  {server.kind.title} at {server.url}{f', key: {key}' if key else ''}")
    for model, family in server.models.items():
        print(f"  {server.name}/{model}  speaks like {family}")
