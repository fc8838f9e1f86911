"""`vlm-app doctor`: whether the app can be served here, and what to do where not."""

from __future__ import annotations

import argparse
import json
import textwrap
from dataclasses import asdict
from typing import Any

from vlm_app import __version__
from vlm_app.settings import choose

_WIDTH = 100


def add(commands: Any) -> None:
    """Its arguments."""
    doctor = commands.add_parser("doctor", help="look at this machine", description=run.__doc__)
    doctor.add_argument("--host", help="address to serve on; as set if not given")
    doctor.add_argument("--port", type=int, help="port to serve on; as set if not given")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at driver, devices, memory, disk, Hub, ports and versions. Exit status 1: there is a problem."""
    from vlm_app.doctor import Level, examine
    from vlm_app.engine import set_library_defaults

    set_library_defaults()
    choose(host=arguments.host, port=arguments.port)
    found = []
    for each in examine():
        found.append(each)
        if not arguments.json:
            print(_line(each.level, each.about, each.found, each.advice), flush=True)
    problems = sum(each.level is Level.PROBLEM for each in found)
    if arguments.json:
        told = {"version": __version__, "problems": problems, "findings": [asdict(each) for each in found]}
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"\n{_verdict(problems)}")
    return 1 if problems else 0


def _verdict(problems: int) -> str:
    if not problems:
        return "Nothing is in the way: vlm-app serve"
    return "One problem is in the way." if problems == 1 else f"{problems} problems are in the way."


def _line(level: str, about: str, found: str, advice: str) -> str:
    """What was found, and below it what to do."""
    return "\n".join([*_hanging(f"{level:8}{about:10}", found), *_hanging(f"{'':16}→ ", advice)])


def _hanging(head: str, text: str) -> list[str]:
    """Lines of a text, the later ones below the first."""
    return textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
