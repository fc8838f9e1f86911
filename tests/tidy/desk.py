"""Two people who have something of everything, on one data folder."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.finetune.app import STUB, needs
from tests.tidy.photos import photo
from tests.ui.fake_engine import FakeEngine
from vlm_app.chat import Chats
from vlm_app.finetune import plans
from vlm_app.finetune import runs as runs_module
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Example, Examples
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.workshop import Workshop
from vlm_app.media import open_image
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.store.uploads import Uploads
from vlm_app.tidy import OwnData
from vlm_app.types import Box, Region, Task
from vlm_app.workbench.bench import Bench

WORD = "Xylophonist"  # in whatever one of the two wrote


class Desk:
    """The parts of the app, without a page; runs are those of the tests' own trainer."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(plans, "needs", needs)
        monkeypatch.setenv("VLM_APP_DATA", str(data))
        settings.cache_clear()
        self.data = data
        self.store = Store(data)
        engine = FakeEngine()
        self.forgotten: list[str] = []
        self.chats = Chats(self.store, engine)
        self.bench = Bench(self.store, engine)
        self.workshop = Workshop(self.store, engine)
        self.workshop.runs = runs_module.Runs(self.store, engine, STUB)
        monkeypatch.setattr(self.workshop.runs._queue, "start", lambda: None)  # nothing trains
        self.uploads = Uploads(data)
        self.own = OwnData(self.store, self.chats, self.bench, self.workshop, self)

    def end_runs(self, owner: str, updated: datetime) -> None:
        """The owner's runs were done at that time."""
        for run in self.workshop.runs.runs(owner):
            done = run.folder.update(state=State.DONE).model_dump(mode="json") | {
                "updated": updated.timestamp()
            }
            (run.folder.path / "status.json").write_text(json.dumps(done))

    def forget(self, owner: str) -> None:
        """As the engine does: what models keep for follow-ups."""
        self.forgotten.append(owner)

    def close(self) -> None:
        self.workshop.close()
        self.store.close()

    def upload(self, owner: str, data: bytes, name: str, folder: str) -> Path:
        """A file as Gradio leaves it."""
        path = self.uploads.folder / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.uploads.came(owner, [path])
        return path

    def fill(self, owner: str, word: str, tmp_path: Path) -> None:
        """A chat, a sheet with a finding, a dataset, a run, an adapter and an upload."""
        shared, own = open_image(photo("JPEG")), open_image(photo("PNG", 6 if word == WORD else 8))
        for _ in self.chats.send(owner, self.chats.new(owner), (shared, own, f"where is the {word}?")):
            pass
        path = tmp_path / f"{word}.jpg"
        path.write_bytes(photo("JPEG"))
        self.bench.open(owner, [(path, path.name)])
        self._teach(owner, word)
        self._adapter(owner, word)
        self.upload(owner, photo("JPEG"), f"{word}.jpg", f"{word.lower()}-alone")
        self.upload(owner, photo("GIF"), "same.gif", "the-same-folder")

    def _teach(self, owner: str, word: str) -> None:
        examples = Examples(self.store)
        dataset = examples.create(owner, f"Set of {word}").id
        for kind in ("JPEG", "TIFF"):
            region = Region(word, Box(0.1, 0.2, 0.3, 0.4), span=(0, len(word)))
            picture = open_image(photo(kind))
            examples.add(owner, dataset, Example((picture,), Task.DETECT, word, word, (region,)))
        self.workshop.runs.start(owner, RunConfig(name=f"Run of {word}", held_out=0.4), dataset)

    def _adapter(self, owner: str, word: str) -> None:
        folder = self.data / "adapters" / f"of-{owner[:1]}"
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "pebble"}))
        (folder / "adapter_model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        (folder / "card.json").write_text(json.dumps({"name": word, "owner": owner, "base": "pebble"}))

    def mentions(self, word: str) -> list[str]:
        """Files of the data folder that hold a word, or are called after it."""
        files = [path for path in self.data.rglob("*") if path.is_file()]
        coded = word.encode()
        return [
            str(path.relative_to(self.data))
            for path in files
            if coded.lower() in path.name.lower().encode() or coded.lower() in path.read_bytes().lower()
        ]
