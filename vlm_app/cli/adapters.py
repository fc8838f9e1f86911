"""`vlm-app adapters`: what runs made and people brought, and what can be done with it."""

from __future__ import annotations

import argparse
import getpass
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.errors import BadInput
from vlm_app.settings import settings

if TYPE_CHECKING:
    from vlm_app.finetune.adapters import Adapters, Kept

OWNER = "terminal"  # of what is brought here, as of the runs that are started here


def add(commands: Any) -> None:
    """Its arguments."""
    adapters = commands.add_parser(
        "adapters",
        help="list, download, bring, merge, push and delete LoRA adapters",
        description=run.__doc__,
        epilog="; ".join(f"{verb}: {does.__doc__}".rstrip(".") for verb, does in _VERBS.items()) + ".",
    )
    adapters.add_argument(
        "what", nargs="?", metavar="ID|VERB", help=f"an adapter, or one of {', '.join(_VERBS)}"
    )
    adapters.add_argument("which", nargs="*", metavar="ID", help="what the verb is about")
    adapters.add_argument("--private", action="store_true", help="push to a private repository")
    adapters.add_argument("--merged", action="store_true", help="push the merged model")
    adapters.add_argument("--json", action="store_true", help="print JSON")
    adapters.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the adapters of everybody, show the card of one, or do something with one."""
    with _adapters() as adapters:
        if arguments.what in _VERBS:
            return _VERBS[arguments.what](adapters, arguments)
        if arguments.which:
            raise BadInput(
                f"'{arguments.what}' is not one of {', '.join(_VERBS)}: give one adapter to see its card."
            )
        if arguments.what:
            print(adapters.card(None, arguments.what).model_dump_json(indent=1, exclude={"owner"}))
            return 0
        return _list(adapters, arguments)


@contextmanager
def _adapters() -> Iterator[Adapters]:
    from vlm_app.engine import engine
    from vlm_app.finetune.adapters import Adapters
    from vlm_app.store import Store

    store = Store(settings().data)
    try:
        yield Adapters(store, engine())
    finally:
        store.close()


def _list(adapters: Adapters, arguments: argparse.Namespace) -> int:
    found = adapters.of(None)
    if arguments.json:
        print(json.dumps([_as_dict(each) for each in found], ensure_ascii=False))
        return 0
    if not found:
        print("There are no adapters: 'vlm-app finetune' makes one.", file=sys.stderr)
    width = max((len(each.id) for each in found), default=0)
    for each in found:
        said = each.problem or (each.card.verdict if each.card else "")
        print(f"{each.id:{width}}  {each.name}, for {each.base}, {each.bytes / 1e6:.1f} MB")
        if said:
            print(f"{'':{width}}  {said}")
    return 0


def _as_dict(kept: Kept) -> dict[str, Any]:
    card = kept.card.model_dump(mode="json", exclude={"owner"}) if kept.card else None
    return {"id": kept.id, "name": kept.name, "base": kept.base, "bytes": kept.bytes, "card": card}


# --- the verbs ----------------------------------------------------------------------------


def _export(adapters: Adapters, arguments: argparse.Namespace) -> int:
    """Write an adapter as a zip: ID FILE."""
    id, file = _given(arguments, 2, "an adapter and a file to write, such as 'export ID hearts.zip'")
    try:
        shutil.copyfile(adapters.archive(None, id), file)
    except OSError as error:
        raise BadInput(f"'{file}' cannot be written: {error.strerror}.") from error
    print(file)
    return 0


def _bring(adapters: Adapters, arguments: argparse.Namespace) -> int:
    """Take in an adapter from a zip: FILE."""
    (file,) = _given(arguments, 1, "one zip")
    path = Path(file)
    if not path.is_file():
        raise BadInput(f"There is no file '{file}': give the zip of an adapter.")
    print(adapters.take_in(OWNER, path, path.name))
    return 0


def _merge(adapters: Adapters, arguments: argparse.Namespace) -> int:
    """Write a whole model with the adapter in its weights: ID."""
    from vlm_app.finetune.adapters import rounding

    (id,) = _given(arguments, 1, "one adapter")
    folder = adapters.merge(None, id, _said)
    print(folder)
    if note := rounding(adapters.card(None, id)):
        _said(note)
    _said(f"'vlm-app models add {folder}' puts it among the models.")
    return 0


def _push(adapters: Adapters, arguments: argparse.Namespace) -> int:
    """Upload an adapter to the Hub: ID OWNER/NAME."""
    id, repo = _given(arguments, 2, "an adapter and a repository, such as 'push ID ada/hearts'")
    adapters.card(None, id)  # before a token is asked for
    merged = adapters.merge(None, id, _said) if arguments.merged else None
    print(adapters.push(None, id, repo, _token(), arguments.private, merged))
    return 0


def _delete(adapters: Adapters, arguments: argparse.Namespace) -> int:
    """Remove adapters: ID…"""
    for id in arguments.which or _given(arguments, 1, "an adapter"):
        adapters.delete(None, id)
    return 0


_VERBS: dict[str, Callable[[Adapters, argparse.Namespace], int]] = {
    "export": _export,
    "bring": _bring,
    "merge": _merge,
    "push": _push,
    "delete": _delete,
}


def _given(arguments: argparse.Namespace, count: int, what: str) -> list[str]:
    which: list[str] = arguments.which
    if len(which) != count:
        raise BadInput(f"Give {what}: found {len(which)} arguments.")
    return which


def _token() -> str:
    """The user's token: of the sign-in or of `HF_TOKEN`, or else typed, unseen, or on standard input."""
    from vlm_app import hub

    if known := hub.token():
        return known
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return getpass.getpass("Token of the Hugging Face Hub, with the permission to write: ")


def _said(sentence: str) -> None:
    print(sentence, file=sys.stderr)
