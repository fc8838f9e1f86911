"""One visitor's things of every kind, each with a word in it that nobody else may ever get to read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from safetensors.numpy import save
from sqlalchemy import text

from tests.finetune.runs import example, folder
from tests.media.pdf_files import many_pages
from tests.ui.fake_engine import FakeEngine
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.chat import Chats
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.media import picture_from
from vlm_app.store import Store, new_id
from vlm_app.store.images import ImageFolder
from vlm_app.store.tables import RunRow
from vlm_app.types import Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Question

WORD = "kestrelnest"  # stands in each of their texts and names
SESSION = "theirsession"  # the name that their page gave itself


@dataclass(frozen=True)
class Theirs:
    """Ids by what they are of: chat, message, media, sheet, page, finding, dataset, example, run, ..."""

    data: Path
    owner: str
    cookie: str
    ids: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.ids[name]

    def kept(self) -> str:
        """Every row in which their owner id or one of their ids stands."""
        with closing(Store(self.data)) as store, store.reading() as session:
            names = session.scalars(text("select name from sqlite_master where type = 'table'")).all()
            rows = [
                f"{name}: {row}"
                for name in sorted(names)
                for row in session.execute(text(f'select * from "{name}"'))
            ]
        mine = {self.owner, *self.ids.values()} - {""}
        files = [str(path) for path in self.data.rglob("*") if any(id in str(path) for id in mine)]
        return "\n".join(sorted(files) + [row for row in rows if any(id in row for id in mine)])


def made(data: Path) -> Theirs:
    """Their things, in a data folder whose app has not started yet."""
    owner, cookie = Owners(data).new()
    with closing(Store(data)) as store:
        ids = _chat(store, owner) | _sheets(store, owner, data) | _taught(store, owner, data)
    return Theirs(data, owner, cookie, ids)


def _chat(store: Store, owner: str) -> dict[str, str]:
    chats = Chats(store, FakeEngine())
    picture = picture_from(Image.new("RGB", (40, 30), (10, 200, 90)))
    *_, last = chats.send(owner, chats.new(owner), (picture, f"what is there, {WORD}?"))
    kept = last.conversation
    return {"chat": kept.id, "message": kept.messages[-1].id, "media": kept.media[0]}


def _sheets(store: Store, owner: str, data: Path) -> dict[str, str]:
    bench = Bench(store, FakeEngine())
    path = data / "theirs.pdf"
    path.write_bytes(many_pages([b"BT /F1 24 Tf 20 100 Td (Hello) Tj ET"]))
    sheet = bench.open(owner, [(path, f"{WORD}.pdf")])
    path.unlink()
    *_, step = bench.ask(owner, sheet.id, [sheet.pages[0].key], Question(Task.DETECT, WORD, "pebble"))
    assert step.finding is not None
    return {"sheet": sheet.id, "page": sheet.pages[0].key, "finding": step.finding.id}


def _taught(store: Store, owner: str, data: Path) -> dict[str, str]:
    examples = Examples(store)
    dataset = examples.create(owner, WORD).id
    lesson = examples.add(owner, dataset, example(1, WORD)).example
    run = new_id()
    made: RunFolder = folder(data / "runs" / run, name=WORD)
    made.write_examples("train", [lesson], ImageFolder(data / "images"))
    made.update(state=State.DONE, sentence=WORD)
    made.log.write_text(f"{WORD}\n")
    with store.writing() as session:
        session.add(RunRow(id=run, owner=owner, name=WORD, body={}, created=datetime.now(UTC)))
    return {"dataset": dataset, "example": lesson.id, "run": run}


def adapter() -> bytes:
    """What PEFT saves for Pebble."""
    config = {"peft_type": "LORA", "base_model_name_or_path": "pebble", "r": 4, "target_modules": ["q_proj"]}
    weights = save({"base_model.model.q_proj.lora_A.weight": np.zeros((4, 8), np.float32)})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("adapter_config.json", json.dumps(config))
        archive.writestr("adapter_model.safetensors", weights)
    return file.getvalue()


class Browser:
    """What somebody sends to the app with their cookie, kept apart from what the app sends back."""

    def __init__(self, url: str, cookie: str) -> None:
        self.url = url
        # After a failure the server closes its connection, which a next request must not meet.
        self.headers = {"cookie": f"{COOKIE}={cookie}", "connection": "close"}
        self.http = httpx.Client(base_url=url, timeout=120)

    def ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        answer = self.http.request(method, path, headers=self.headers | what.pop("headers", {}), **what)
        self.http.cookies.clear()
        return answer

    def joined(
        self, number: int, data: list[Any], event: Any = None, session: str = SESSION
    ) -> httpx.Response:
        """A function of the page is asked for, under the name of a page."""
        body = {"fn_index": number, "data": data, "event_data": event, "session_hash": session}
        return self.ask("POST", "/gradio_api/queue/join", json=body)

    def stream(self, session: str = SESSION) -> str:
        """All that is said to the page of that name, until nothing more is awaited."""
        path = f"/gradio_api/queue/data?session_hash={session}"
        with self.http.stream("GET", path, headers=self.headers) as answer:
            return answer.read().decode()

    def heard(self, session: str) -> str:
        """What is said to the page of that name, as far as it goes; a page that is not known gets nothing."""
        path, said = f"/gradio_api/queue/data?session_hash={session}", b""
        stream = self.http.stream("GET", path, headers=self.headers)
        with suppress(httpx.RemoteProtocolError), stream as answer:  # Gradio breaks off
            for piece in answer.iter_raw():
                said += piece
        return said.decode()

    def upload(self, name: str, data: bytes) -> str:
        """The name by which the page knows the file from now on."""
        answer = self.ask("POST", "/gradio_api/upload", files={"files": (name, data)})
        return str(answer.json()[0])
