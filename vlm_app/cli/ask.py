"""`vlm-app ask`: a question about images, answered in the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlm_app.catalog import catalog, find
from vlm_app.cli import exports, given
from vlm_app.cli.given import Given
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Answer, Checkpoint, Delta, Region, Request, Role, Task, Turn

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def add(commands: Any) -> None:
    """Its arguments."""
    ask = commands.add_parser("ask", help="ask a model about images", description=run.__doc__)
    given.add(ask)
    ask.add_argument(
        "-q", "--query", default="", metavar="TEXT", help="the question, or what the task is about"
    )
    ask.add_argument("--model", metavar="ID", help="a model of 'vlm-app models'")
    ask.add_argument("--task", default=Task.CHAT.value, help=f"one of {', '.join(Task)}; chat if not given")
    ask.add_argument(
        "--precision",
        default="auto",
        metavar="NAME",
        help="bf16, fp16, fp32, int8 or nf4; the best that fits if not given",
    )
    ask.add_argument("--adapter", metavar="ID", help="an adapter that was made for the model")
    ask.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    ask.add_argument("--out", type=Path, metavar="FILE", help="save the image with the regions drawn, as PNG")
    exports.add(ask)
    ask.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask a model about images. The answer is streamed; its regions follow, one a line."""
    checkpoint, task = _chosen(arguments)
    if arguments.out:
        _check_out(arguments.out)
    exports.check(arguments.export, len(arguments.images))
    about = given.given(arguments.images, arguments.pages, task)
    request = _request(arguments, checkpoint, task)
    with closing(_answered(request, about, checkpoint)) as deltas:
        answer = _last(deltas) if arguments.json else _printed(deltas, about)
    if arguments.json:
        print(json.dumps(_as_dict(answer), ensure_ascii=False))
    elif answer.seen.note:
        print(answer.seen.note, file=sys.stderr)
    if arguments.out:
        _save(arguments.out, about, answer)
    exports.save(arguments.export, about, answer, request.query)
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[Checkpoint, Task]:
    """The model and the task; what does not exist is bad input here."""
    from vlm_app.engine import can

    try:
        task = Task(arguments.task.lower().replace("-", "_"))
    except ValueError:
        raise BadInput(f"There is no task '{arguments.task}'; choose one of: {', '.join(Task)}.") from None
    try:
        checkpoint = find(arguments.model or _default(task))
    except ModelUnavailable as error:
        raise BadInput(error.sentence) from None
    if not can(checkpoint, task):
        able = ", ".join(task for task in Task if can(checkpoint, task))
        raise BadInput(f"{checkpoint.name} cannot do '{task}'; it can do: {able}.")
    return checkpoint, task


def _default(task: Task) -> str:
    """The model of the settings; text is read by one that knows real pages, where there is one."""
    from vlm_app.engine import reader

    chosen = settings().model
    return reader(task, catalog(), (chosen,)) or chosen if task in (Task.OCR, Task.OCR_REGIONS) else chosen


def _request(arguments: argparse.Namespace, checkpoint: Checkpoint, task: Task) -> Request:
    """The question without its images."""
    return Request(
        (Turn(Role.USER, ()),),
        checkpoint.id,
        task=task,
        query=arguments.query,
        precision=arguments.precision,
        adapter=arguments.adapter,
        owner=None,
    )


def _answered(request: Request, about: Sequence[Given], checkpoint: Checkpoint) -> Generator[Delta]:
    """The answer about all images at once; a task that is about one image, page by page."""
    if request.task is Task.CHAT or not any(each.title for each in about):
        return _deltas(given.request_of(request, about), checkpoint)
    return given.page_by_page(request, about, lambda one: _deltas(one, checkpoint))


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


def _printed(deltas: Iterable[Delta], about: Sequence[Given]) -> Answer:
    answer = Answer("")
    for delta in deltas:
        sys.stdout.write(delta.text.translate(_CONTROLS))
        sys.stdout.flush()
        answer = delta.answer or answer
    print()
    for region in answer.regions:
        print(_line(region, about).translate(_CONTROLS))
    return answer


def _line(region: Region, about: Sequence[Given]) -> str:
    from vlm_app.grounding import region_to_dict

    exact = json.dumps(region_to_dict(region).get(region.kind))
    place = json.loads(exact, parse_float=lambda number: round(float(number), 3))  # enough for a reader
    title = about[region.image].title if region.image < len(about) else ""
    where = title[:1].lower() + title[1:] if title else f"image {region.image + 1}"
    return f"  {region.label}: {region.kind} {json.dumps(place)} on {where}"


def _as_dict(answer: Answer) -> dict[str, Any]:
    from vlm_app.grounding import region_to_dict

    return {
        "text": answer.text,
        "regions": [region_to_dict(region) for region in answer.regions],
        "seen": asdict(answer.seen),
        "usage": asdict(answer.usage),
        "timings": asdict(answer.timings),
        "model": answer.model,
        "precision": answer.precision,
        "adapter": answer.adapter,
        "task": answer.task,
        "finish": answer.finish,
    }


def _check_out(path: Path) -> None:
    """Before the model is asked: an answer must not be lost to a wrong path."""
    if path.suffix.lower() != ".png":
        raise BadInput(
            f"The drawn image is saved as PNG, found '{path.name}': give a name that ends with .png."
        )
    if not exports.can_be_saved(path):
        raise BadInput(
            f"The drawn image cannot be saved as '{path}': expected a file in a folder that exists."
        )


def _save(path: Path, about: Sequence[Given], answer: Answer) -> None:
    """Draw on the image that the regions lie on; the last one if they lie on several."""
    from vlm_app.grounding import draw
    from vlm_app.media import png_bytes

    if not about:
        raise BadInput("There is no image to draw on: give one before the question.")
    index = max((region.image for region in answer.regions), default=len(about) - 1)
    drawn = draw(
        about[index].picture().pixels, [region for region in answer.regions if region.image == index]
    )
    try:
        path.write_bytes(png_bytes(drawn))
    except OSError as error:
        raise BadInput(f"The drawn image cannot be saved as '{path}': {error.strerror}.") from None
