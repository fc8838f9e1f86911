"""`vlm-app models`: the catalog, what the Hub says of it, and models beyond it."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
from collections.abc import Callable
from typing import Any

from vlm_app import catalog
from vlm_app.cli.facts import as_dict, explained, found, summary
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.types import Checkpoint, Runs, Task

_UNITS = {"": 10**9, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30}


def add(commands: Any) -> None:
    """Its arguments."""
    models = commands.add_parser(
        "models",
        help="list, filter and explain models",
        description=run.__doc__,
        epilog="; ".join(f"{verb}: {does.__doc__}".rstrip(".") for verb, does in _VERBS.items()) + ".",
    )
    models.add_argument("what", nargs="?", metavar="ID|VERB", help=f"a model, or one of {', '.join(_VERBS)}")
    models.add_argument("which", nargs="*", metavar="ID", help="what the verb is about")
    models.add_argument("--task", help=f"only those that can do it: {', '.join(Task)}")
    models.add_argument(
        "--max-memory",
        metavar="SIZE",
        help="only those whose weights fit, as '8GB', in the smallest precision",
    )
    models.add_argument(
        "--licence", choices=("permissive", "restricted"), help="only those with such a licence"
    )
    models.add_argument("--language", metavar="CODE", help="only those that speak it, as 'zh'")
    models.add_argument("--family", metavar="NAME", help="only those of a family")
    models.add_argument("--text", default="", metavar="WORDS", help="only those whose row holds these words")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the models of the catalog, explain one, or do something with one."""
    if arguments.what in _VERBS:
        return _VERBS[arguments.what](arguments)
    if arguments.which:
        raise BadInput(f"'{arguments.what}' is not one of {', '.join(_VERBS)}: give one model to explain it.")
    if arguments.what:
        return _explain(arguments)
    return _list(arguments)


# --- the catalog --------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    rows = catalog.choose(
        catalog.catalog().values(),
        task=_task(arguments.task),
        memory=_bytes(arguments.max_memory),
        permissive={"permissive": True, "restricted": False}.get(arguments.licence),
        language=arguments.language,
        family=arguments.family,
        text=arguments.text,
    )
    if arguments.json:
        print(json.dumps([as_dict(row) for row in rows], ensure_ascii=False))
        return 0
    width = max((len(row.id) for row in rows), default=0)
    for row in rows:
        first, *others = summary(row)
        print(f"{row.id:{width}}  {first}")
        for line in others:
            print(f"{'':{width}}  {line}")
    if not rows:
        print("No model of the catalog fits; ask for less.", file=sys.stderr)
    elif arguments.max_memory:
        print(
            f"Memory is an estimate: parameters × bytes of one in {catalog.SMALLEST}, the smallest "
            "precision; images and answers take more.",
            file=sys.stderr,
        )
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from vlm_app import hub

    row = _find(arguments.what)
    finding = hub.findings(row.source)
    print(
        json.dumps(as_dict(row, finding), ensure_ascii=False) if arguments.json else explained(row, finding)
    )
    return 0


def _explain_fully(arguments: argparse.Namespace) -> int:
    """Explain a model with an estimate of its memory, and whether it fits here."""
    from vlm_app import hub
    from vlm_app.cli import fitting

    if not arguments.which:
        raise BadInput("There is nothing to explain: give a model, as 'vlm-app models' lists them.")
    for row in [_find(id) for id in arguments.which]:
        finding = hub.findings(row.source)
        if arguments.json:
            print(json.dumps(as_dict(row, finding) | fitting.as_dict(row), ensure_ascii=False))
        else:
            print("\n  ".join([explained(row, finding), *fitting.fitted(row)]))
    return 0


def _find(id: str) -> Checkpoint:
    try:
        return catalog.find(id)
    except ModelUnavailable as error:
        raise BadInput(error.sentence) from None


def _task(name: str | None) -> Task | None:
    if name is None:
        return None
    try:
        return Task(name.lower().replace("-", "_"))
    except ValueError:
        raise BadInput(f"There is no task '{name}'; choose one of: {', '.join(Task)}.") from None


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?B)?\s*", text, re.IGNORECASE)
    unit = (found.group(2) or "").upper() if found else "?"
    if not found or unit not in _UNITS:
        raise BadInput(f"'{text}' is no amount of memory; expected one such as 8GB or 500MB.")
    return round(float(found.group(1)) * _UNITS[unit])


# --- the Hub ------------------------------------------------------------------------------


def _rows(ids: list[str]) -> list[Checkpoint]:
    """The named rows, or all; those of the Hub, each repository once."""
    rows = [_find(id) for id in ids] or list(catalog.catalog().values())
    found = {row.source: row for row in rows if _on_the_hub(row)}
    if not found:
        raise BadInput(f"{rows[0].name} is not on the Hub: there is no commit and nothing to ask about.")
    return list(found.values())


def _on_the_hub(row: Checkpoint) -> bool:
    return row.runs is not Runs.HOSTED and "/" in row.source and not row.source.startswith("/")


def _lock(arguments: argparse.Namespace) -> int:
    """Lock the commit that is used."""
    from vlm_app import hub

    return _each(arguments.which, lambda row: hub.lock(row.source))


def _upgrade(arguments: argparse.Namespace) -> int:
    """Lock the newest commit."""
    from vlm_app import hub

    def upgraded(row: Checkpoint) -> str:
        before, after = hub.revision(row.source), hub.upgrade(row.source)
        return f"{after} (unchanged)" if after == before else f"{before or 'none'} -> {after}"

    return _each(arguments.which, upgraded)


def _check(arguments: argparse.Namespace) -> int:
    """Ask the Hub whether it exists, is gated, its licence and its files."""
    from vlm_app import hub

    return _each(arguments.which, lambda row: found(hub.check(row.source)))


def _each(ids: list[str], told: Callable[[Checkpoint], str]) -> int:
    """One line a model; the first failure of the Hub ends it, the rest would only fail as well."""
    for row in _rows(ids):
        print(f"{row.id}: {told(row)}", flush=True)
    return 0


def _add(arguments: argparse.Namespace) -> int:
    """Add a Hub repository or a folder of a known family."""
    from vlm_app import hub

    if not arguments.which:
        raise BadInput("There is nothing to add: give a repository of the Hub, as owner/name, or a folder.")
    for source in arguments.which:
        row = hub.add(source)
        print(f"{row.id}: {'in the catalog already' if row.listed else 'unlisted'}, family {row.family}")
    return 0


def _search(arguments: argparse.Namespace) -> int:
    """Search the Hub for image-text-to-text."""
    from vlm_app import hub

    for hit in hub.search_hub(" ".join(arguments.which)):
        notes = [hit.family and f"family {hit.family}", hit.licence, "gated" if hit.gated else ""]
        noted = ", ".join(filter(None, notes)) or "family not known"
        print(f"{hit.repo}: {noted}; {hit.downloads} downloads")
    return 0


def _sign_in(arguments: argparse.Namespace) -> int:
    """Sign in to the Hub with a token, which is asked for and not shown."""
    from vlm_app import hub

    # Not an argument: those stand in the shell's history and in the list of processes.
    token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    name = hub.sign_in(token)
    print(f"Signed in as {name}." if name else "The token is kept; the Hub could not be asked about it.")
    return 0


def _sign_out(arguments: argparse.Namespace) -> int:
    """Forget the token."""
    from vlm_app import hub

    hub.sign_out()
    print("Signed out.")
    return 0


_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "lock": _lock,
    "upgrade": _upgrade,
    "check": _check,
    "add": _add,
    "search": _search,
    "sign-in": _sign_in,
    "sign-out": _sign_out,
    "explain": _explain_fully,
}
