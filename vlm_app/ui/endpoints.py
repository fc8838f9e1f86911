"""What other programs ask the page's server for: `/export`, a picture in, a file out.

docs/exports.md has an example. Nothing of it is kept: no chat, no sheet; the file that was given
and the one that was made are deleted as all uploads are, after a day.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import gradio as gr

from vlm_app import limits
from vlm_app.api.offered import allowed
from vlm_app.api.people import person_of
from vlm_app.catalog import catalog, find
from vlm_app.engine import Engine
from vlm_app.engine.opening import opening
from vlm_app.errors import AppError, BadInput, GenerationFailed
from vlm_app.grounding.formats import FORMATS, exported, named, result_of
from vlm_app.grounding.formats.files import safe_name
from vlm_app.media import open_image
from vlm_app.people import Person
from vlm_app.settings import settings
from vlm_app.store import new_id
from vlm_app.store.uploads import Uploads
from vlm_app.types import Answer, Finish, Part, Picture, Request, Role, Task, Turn
from vlm_app.ui.running import Running
from vlm_app.ui.workbench.choosing import answering

log = logging.getLogger(__name__)

ABOUT = (
    "An image's answer as a file; `format` is one of {formats}, `task` one of {tasks}. See docs/exports.md."
)


class Endpoints:
    """The named endpoints of an engine. What they answer ends with the app, as a chat's answers do."""

    def __init__(self, engine: Engine, running: Running) -> None:
        self.engine = engine
        self.running = running

    def connect(self) -> None:
        """Adds them to the Blocks that is open, with components that nobody sees."""
        given, made = gr.File(label="image", visible=False), gr.File(label="file", visible=False)
        begin = {"format": "json", "task": Task.DETECT.value, "query": "", "model": "", "precision": "auto"}
        fields = [gr.Textbox(value, label=name, visible=False) for name, value in begin.items()]
        self.cache = Path(made.GRADIO_CACHE)
        gr.Button(visible=False).click(
            self.export,
            [given, *fields],
            [made],
            api_name="export",
            api_description=ABOUT.format(formats=", ".join(FORMATS), tasks=", ".join(Task)),
            concurrency_id="answers",
            concurrency_limit=8,
            preprocess=False,  # a file's path is enough: gr.File would leave an empty file at each call
        )

    def export(
        self,
        request: gr.Request,
        image: dict[str, Any] | None,
        format: str = "json",
        task: str = "detect",
        query: str = "",
        model: str = "",
        precision: str = "auto",
    ) -> str:
        """The path of the file. What goes wrong is a sentence, and a bug's traceback is in the log."""
        words = [str(value or "").strip() for value in (format, task, query, model, precision)]
        try:
            person, stop = person_of(request), threading.Event()
            with self.running.answer((person.owner, new_id()), stop):
                return str(self._file(person, stop, image, *words))
        except AppError as error:
            raise gr.Error(error.sentence, print_exception=False) from error
        except gr.Error:
            raise
        except Exception as error:
            id = new_id()[-8:]
            log.error("an export failed (id %s)", id, exc_info=error)
            raise gr.Error(f"Something went wrong here (id {id}).", print_exception=False) from error

    def _file(
        self,
        person: Person,
        stop: threading.Event,
        image: dict[str, Any] | None,
        format: str,
        task: str,
        query: str,
        model: str,
        precision: str,
    ) -> Path:
        wanted = named(format)  # before the model is asked
        if not image:
            raise BadInput("An image is expected, found none: give the file under 'image'.")
        name = str(image.get("orig_name") or Path(image["path"]).name)
        picture = open_image(Path(image["path"]), name=name, limits=limits.of(person.owner))
        answer = self._answer(person, stop, picture, _task(task), query, model, precision)
        if answer.finish is Finish.CANCELLED:  # a part of what is there would look like all of it
            raise GenerationFailed("The answer was stopped before its end: ask again.")
        data = exported(result_of(answer, [picture.pixels], [name], query), wanted.name)
        folder = self.cache / new_id()  # whoever does not know it cannot ask for it
        folder.mkdir(parents=True)
        path = folder / f"{safe_name(Path(name).stem, 'image')}{wanted.suffix}"
        path.write_bytes(data)
        Uploads(settings().data).came(person.owner, [path])  # only whose it is gets its name
        return path

    def _answer(
        self,
        person: Person,
        stop: threading.Event,
        picture: Picture,
        task: Task,
        query: str,
        model: str,
        precision: str,
    ) -> Answer:
        checkpoint = find(answering(self.engine, catalog(), model, opening().model, task))
        if task not in checkpoint.tasks:
            able = ", ".join(one for one in Task if one in checkpoint.tasks)
            raise BadInput(f"{checkpoint.name} cannot do '{task}'; it can do: {able}.")
        parts: tuple[Part, ...] = (picture, query) if task is Task.CHAT else (picture,)
        turns = (Turn(Role.USER, parts),)
        precision = allowed(person, self.engine, checkpoint.id, precision or "auto")
        request = Request(
            turns, checkpoint.id, task=task, query=query, precision=precision, owner=person.owner
        )
        *_, last = self.engine.answer(request, stop)
        assert last.answer is not None, "a stream of the engine ends with its answer"
        return last.answer


def _task(name: str) -> Task:
    try:
        return Task(name.lower().replace("-", "_"))
    except ValueError:
        raise BadInput(f"There is no task '{name}'; choose one of: {', '.join(Task)}.") from None
