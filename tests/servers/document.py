"""Writes docs/servers.md from the code: `python -m tests.servers.document`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_app.servers.kinds import KINDS, Kind

DOCUMENT = Path(__file__).parents[2] / "docs" / "servers.md"
_HEAD = """\
# Servers

A model need not run in this app: a server that speaks the OpenAI protocol can run it, on this
computer, on another one, or as a service. Its answers are read like those of the app's own models.
This page is generated from the code by `python -m tests.servers.document`.

## Adding one

1. Start the server with one of the lines below, with the model that you want.
2. Add it on the **Models** page, or with `vlm-app servers add NAME URL`. NAME is yours to choose:
   letters, digits and hyphens. Say of which kind it is, so that it is sent what it takes.
3. If it wants a key, put it into the environment variable `VLM_APP_KEY_<NAME>` (for a server
   named `my-gpu` that is `VLM_APP_KEY_MY_GPU`), or type it on the page, at the computer itself.
   Where neither is given, the variable in which the users of that kind keep their key is used,
   though only at the kind's usual address. A key goes to its server and nowhere else.
4. Its models appear in the pickers as `NAME/MODEL`. Each is given a family, guessed from its
   name: correct it on the **Models** page where the guess is wrong.

## What the tables say

- **Special tokens**: some families write boxes with special tokens. Where a server drops them
  from its answers, such a family says less there, or nothing; families that write plain text
  are not touched.
- **Unfinished answers**: whether an answer that was stopped can go on where it ended.
- **Token counts**: whether it can be asked, by `stream_options`, how many tokens there were.
- A limit that is not named is not known, or is set by whoever starts the server.

"""


def document() -> str:
    return _HEAD + "\n".join(_section(kind) for kind in KINDS.values())


def _section(kind: Kind) -> str:
    parts = [f"## {kind.title}\n"]
    if kind.start:
        parts.append(f"```sh\n{kind.start}\n```\n")
    elif kind.hosted:
        parts.append("A service: images and questions leave this computer's network.\n")
    rows = "".join(f"| {name} | {said} |\n" for name, said in _rows(kind) if said)
    parts.append(f"| | |\n| --- | --- |\n{rows}")
    if kind.notes:
        parts.append("".join(f"- {note}\n" for note in kind.notes))
    if kind.sources:
        parts.append(
            "Sources:\n" + ", ".join(f"<{source}>" for source in kind.sources).replace(", ", ",\n") + "\n"
        )
    return "\n".join(parts)


def _rows(kind: Kind) -> list[tuple[str, str]]:
    return [
        ("Kind", f"`{kind.name}`"),
        ("Address", f"`{kind.url}`" if kind.url else ""),
        ("Key", f"`{kind.key}`" if kind.key else ""),
        ("Special tokens", _tokens(kind)),
        ("Unfinished answers", _resumes(kind)),
        ("Token counts", "yes" if kind.usage else "not asked for"),
        ("Seed", "yes" if kind.seed else "not sent"),
        ("Limit of an answer", f"`{kind.limit}`"),
        ("Images", _images(kind)),
        ("LoRA adapters", kind.adapters),
    ]


def _tokens(kind: Kind) -> str:
    if kind.keeps_tokens is None:
        return "not known" if kind.hosted or not kind.start else "as it was started: see below"
    if not kind.keeps_tokens:
        return "dropped"
    return f"kept, with {_fields(kind.extra)}" if kind.extra else "kept"


def _resumes(kind: Kind) -> str:
    if kind.resumes is None:
        return "begin anew: no way is known"
    return f"go on, with {_fields(kind.resumes)}" if kind.resumes else "go on"


def _images(kind: Kind) -> str:
    said = [", ".join(name.upper() for name in kind.formats)]
    if kind.max_images is not None:
        said.append(f"{kind.max_images} in a request")
    if kind.max_side is not None:
        said.append(f"{kind.max_side} pixels on the longer side")
    if kind.max_image_bytes is not None and kind.max_image_bytes != kind.max_request_bytes:
        said.append(f"{_megabytes(kind.max_image_bytes)} each, as base64")
    if kind.max_request_bytes is not None:
        said.append(f"{_megabytes(kind.max_request_bytes)} in a request")
    return "; ".join(said)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f}".rstrip("0").rstrip(".") + " MB"


def _fields(fields: Mapping[str, Any]) -> str:
    said = {True: "true", False: "false"}
    return ", ".join(f"`{name}: {said.get(value, value)}`" for name, value in fields.items())


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document())
