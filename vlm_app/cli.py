"""The command `vlm-app`: ask, serve, models.

Exit status: 0 for an answer; 2 for bad input, with one sentence on standard error; 1 when
the model failed, with one sentence; 130 after Ctrl-C. Importing it costs no torch.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from vlm_app import __version__
from vlm_app.catalog import catalog, find
from vlm_app.errors import AppError, BadInput, ModelUnavailable, NotFound
from vlm_app.settings import settings
from vlm_app.types import Answer, Checkpoint, Delta, Part, Region, Request, Role, Task, Turn

_BROKEN_PIPE = 141  # as a shell shows a process that SIGPIPE ended
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's); returns the exit status."""
    try:
        arguments = _parser().parse_args(argv)
        _quiet()
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except ValidationError as error:
        names = ", ".join(f"VLM_APP_{str(item['loc'][0]).upper()}" for item in error.errors() if item["loc"])
        return _refused(
            f"The environment sets {names} to a value that cannot be used; correct or unset it.", 2
        )
    except (BadInput, NotFound) as error:
        return _refused(error.sentence, 2)
    except AppError as error:
        return _refused(error.sentence, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away. What is still buffered has nowhere to go, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _refused(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


def _quiet() -> None:
    """Results on standard output, in UTF-8; on standard error one sentence and no library's notes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


# --- arguments --------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Refuses with one sentence instead of the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            2,
            f"{message[:1].upper()}{message[1:].rstrip('.')}; '{self.prog} --help' shows what is possible.\n",
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vlm-app", description="Talk with open vision-language models about your own images."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    ask = commands.add_parser("ask", help="ask a model about images", description=_ask.__doc__)
    ask.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="an image file")
    ask.add_argument(
        "-q", "--query", default="", metavar="TEXT", help="the question, or what the task is about"
    )
    ask.add_argument("--model", metavar="ID", help="a model of 'vlm-app models'")
    ask.add_argument("--task", default=Task.CHAT.value, help=f"one of {', '.join(Task)}; chat if not given")
    ask.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    ask.add_argument("--out", type=Path, metavar="FILE", help="save the image with the regions drawn, as PNG")
    ask.set_defaults(run=_ask)

    models = commands.add_parser("models", help="list the models", description=_models.__doc__)
    models.add_argument("--json", action="store_true", help="print a JSON list")
    models.set_defaults(run=_models)

    serve = commands.add_parser("serve", help="serve the page", description=_serve.__doc__)
    serve.add_argument("--host", help="address to serve on; 0.0.0.0 for all")
    serve.add_argument("--port", type=int, help="port to serve on")
    serve.set_defaults(run=_serve)
    return parser


# --- ask ----------------------------------------------------------------------------------


def _ask(arguments: argparse.Namespace) -> int:
    """Ask a model about images. The answer is streamed; its regions follow, one a line."""
    checkpoint, task = _chosen(arguments)
    if arguments.out:
        _check_out(arguments.out)
    request = _request(arguments, checkpoint, task)
    with closing(_deltas(request, checkpoint)) as deltas:
        answer = _last(deltas) if arguments.json else _printed(deltas)
    if arguments.json:
        print(json.dumps(_as_dict(answer), ensure_ascii=False))
    elif answer.seen.note:
        print(answer.seen.note, file=sys.stderr)
    if arguments.out:
        _save(arguments.out, request, answer)
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[Checkpoint, Task]:
    """The model and the task; what does not exist is bad input here."""
    try:
        checkpoint = find(arguments.model or settings().model)
    except ModelUnavailable as error:
        raise BadInput(error.sentence) from None
    try:
        task = Task(arguments.task.lower().replace("-", "_"))
    except ValueError:
        raise BadInput(f"There is no task '{arguments.task}'; choose one of: {', '.join(Task)}.") from None
    if task not in checkpoint.tasks:
        able = ", ".join(task for task in Task if task in checkpoint.tasks)
        raise BadInput(f"{checkpoint.name} cannot do '{task}'; it can do: {able}.")
    return checkpoint, task


def _request(arguments: argparse.Namespace, checkpoint: Checkpoint, task: Task) -> Request:
    from vlm_app.media import open_image

    parts: list[Part] = [open_image(path) for path in arguments.images]
    if task is Task.CHAT:
        parts.append(arguments.query)
    return Request((Turn(Role.USER, tuple(parts)),), checkpoint.id, task=task, query=arguments.query)


def _deltas(request: Request, checkpoint: Checkpoint) -> Generator[Delta]:
    """The engine's answer; a person at a terminal is told that the model loads."""
    from vlm_app.engine import engine
    from vlm_app.engine.events import Event, Loading

    def tell(event: Event) -> None:
        if isinstance(event, Loading) and sys.stderr.isatty():
            print(f"Loading {checkpoint.name} …", file=sys.stderr)

    unsubscribe = engine().subscribe(tell)
    try:
        yield from engine().answer(request)
    finally:
        unsubscribe()


def _last(deltas: Iterable[Delta]) -> Answer:
    *_, last = deltas
    assert last.answer is not None, "a stream of the engine ends with its answer"
    return last.answer


def _printed(deltas: Iterable[Delta]) -> Answer:
    answer = Answer("")
    for delta in deltas:
        sys.stdout.write(delta.text.translate(_CONTROLS))
        sys.stdout.flush()
        answer = delta.answer or answer
    print()
    for region in answer.regions:
        print(_line(region).translate(_CONTROLS))
    return answer


def _line(region: Region) -> str:
    from vlm_app.grounding import region_to_dict

    exact = json.dumps(region_to_dict(region).get(region.kind))
    place = json.loads(exact, parse_float=lambda number: round(float(number), 3))  # enough for a reader
    return f"  {region.label}: {region.kind} {json.dumps(place)} on image {region.image + 1}"


def _as_dict(answer: Answer) -> dict[str, Any]:
    from vlm_app.grounding import region_to_dict

    return {
        "text": answer.text,
        "regions": [region_to_dict(region) for region in answer.regions],
        "seen": asdict(answer.seen),
        "usage": asdict(answer.usage),
        "timings": asdict(answer.timings),
        "model": answer.model,
        "task": answer.task,
        "finish": answer.finish,
    }


def _check_out(path: Path) -> None:
    """Before the model is asked: an answer must not be lost to a wrong path."""
    if path.suffix.lower() != ".png":
        raise BadInput(
            f"The drawn image is saved as PNG, found '{path.name}': give a name that ends with .png."
        )
    if not path.parent.is_dir() or path.is_dir():
        raise BadInput(
            f"The drawn image cannot be saved as '{path}': expected a file in a folder that exists."
        )


def _save(path: Path, request: Request, answer: Answer) -> None:
    """Draw on the image that the regions lie on; the last one if they lie on several."""
    from vlm_app.grounding import draw
    from vlm_app.media import png_bytes

    if not request.pictures:
        raise BadInput("There is no image to draw on: give one before the question.")
    index = max((region.image for region in answer.regions), default=len(request.pictures) - 1)
    drawn = draw(
        request.pictures[index].pixels, [region for region in answer.regions if region.image == index]
    )
    try:
        path.write_bytes(png_bytes(drawn))
    except OSError as error:
        raise BadInput(f"The drawn image cannot be saved as '{path}': {error.strerror}.") from None


# --- models and serve -----------------------------------------------------------------------


def _models(arguments: argparse.Namespace) -> int:
    """List the models of the catalog."""
    rows = list(catalog().values())
    if arguments.json:
        print(json.dumps([asdict(row) | {"tasks": sorted(row.tasks)} for row in rows], ensure_ascii=False))
        return 0
    width = max((len(row.id) for row in rows), default=0)
    for row in rows:
        print(f"{row.id:{width}}  {row.name} ({row.licence or 'licence unknown'}): {row.knows}")
        print(f"{'':{width}}  tasks: {', '.join(task for task in Task if task in row.tasks)}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    """Serve the page."""
    from vlm_app.engine import set_library_defaults

    set_library_defaults()  # before gradio is imported, which imports the Hub's client
    from vlm_app.ui import serve

    port = settings().port if arguments.port is None else arguments.port
    if not 0 <= port <= 65535:
        raise BadInput(f"A port lies between 0 and 65535, found {port}.")
    serve(arguments.host or settings().host, port)
    return 0
