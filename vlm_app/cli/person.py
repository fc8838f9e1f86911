"""`vlm-app person`: who signs in with a password, and what they may do."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.people import Role
from vlm_app.settings import settings
from vlm_app.store.persons import Entry, Persons


def add(commands: Any) -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "person", help="list, add and remove people who sign in", description=run.__doc__
    )
    parser.set_defaults(run=run)
    verbs = parser.add_subparsers(metavar="VERB")

    new = verbs.add_parser("add", help="add somebody; asks for their password, or reads it from a pipe")
    new.add_argument("name")
    new.add_argument("--role", type=Role, choices=list(Role), default=Role.MEMBER, help="default: member")
    new.set_defaults(run=_add)

    role = verbs.add_parser("role", help="give somebody another role, at once")
    role.add_argument("name")
    role.add_argument("role", type=Role, choices=list(Role))
    role.set_defaults(run=_role)

    password = verbs.add_parser("password", help="give somebody another password, which signs them out")
    password.add_argument("name")
    password.set_defaults(run=_password)

    gone = verbs.add_parser("remove", help="sign somebody out for good; their chats stay")
    gone.add_argument("name")
    gone.set_defaults(run=_remove)


def run(arguments: argparse.Namespace) -> int:
    """List the people who sign in with a password, each with their role."""
    everybody = _persons().all()
    for each in everybody:
        _show(each)
    if not everybody:
        print("Nobody signs in here yet: vlm-app person add NAME --role ROLE.", file=sys.stderr)
    return 0


def _add(arguments: argparse.Namespace) -> int:
    if _persons().find(arguments.name) is not None:  # before a password is typed for nothing
        raise BadInput(f"There is already somebody called '{arguments.name}': change their role or password.")
    _show(_persons().add(arguments.name, arguments.role, _typed()))
    return 0


def _role(arguments: argparse.Namespace) -> int:
    _show(_persons().give(arguments.name, arguments.role))
    return 0


def _password(arguments: argparse.Namespace) -> int:
    _show(_persons().secure(arguments.name, _typed()))
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    _persons().remove(arguments.name)
    return 0


def _typed() -> str:
    """A password: from a person twice and unseen, from a pipe as its first line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise BadInput("The two passwords differ: run the command again.")
    return password


def _persons() -> Persons:
    return Persons(settings().data)


def _show(entry: Entry) -> None:
    print(f"{entry.name}  {entry.role}")
