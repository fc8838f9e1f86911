"""All chats as one file: one at a time for each owner, and never on a disk that is nearly full."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from PIL import Image
from starlette.applications import Starlette

from tests.ui.fake_engine import FakeEngine
from vlm_app.api.export_routes import FOLDER, RESERVE, export_routes
from vlm_app.chat import Chats
from vlm_app.media import picture_from
from vlm_app.settings import settings
from vlm_app.store import Store

PATH = "/chats/export.zip"
MINE = "m" * 24


def scope(owner: str) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": PATH, "raw_path": PATH.encode(), "query_string": b"",
            "headers": [], "scheme": "http", "server": ("app.example", 80), "root_path": "",
            "http_version": "1.1", "state": {"owner": owner}}  # fmt: skip


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starlette]:
    monkeypatch.setenv("VLM_APP_DATA", str(tmp_path))
    settings.cache_clear()
    store = Store(tmp_path)
    chats = Chats(store, FakeEngine())
    for owner in (MINE, "other"):
        for _ in chats.send(owner, chats.new(owner), ("what is there?",)):
            pass
    yield Starlette(routes=export_routes(chats))
    store.close()


async def asked(app: Starlette, owner: str, sent: Callable[[], Any] | None = None) -> tuple[int, bytes]:
    """The status and the body; `sent` is called before each message goes out."""
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if sent is not None:
            await sent()
        messages.append(message)

    await app(scope(owner), receive, send)
    return messages[0]["status"], b"".join(each.get("body", b"") for each in messages)


def test_a_chat_whose_image_is_damaged_is_named_and_all_others_are_there(
    app: Starlette, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    chats = Chats(store, FakeEngine())
    picture = picture_from(Image.new("RGB", (40, 30), "red"))
    for _ in chats.send(MINE, chats.new(MINE), (picture, "a damaged one")):
        pass
    store.close()
    for image in (tmp_path / "images").rglob("*.png"):
        image.write_bytes(image.read_bytes()[:40])
    status, body = anyio.run(asked, app, MINE)
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(body)) as whole:
        names = whole.namelist()
        assert len(names) == 2 and names[-1] == "not-exported.txt"
        assert b"a damaged one: The image" in whole.read("not-exported.txt")


def test_a_second_export_waits_until_the_first_is_downloaded(app: Starlette, tmp_path: Path) -> None:
    async def all_of_them() -> None:
        began, goes_on, done = anyio.Event(), anyio.Event(), []

        async def slowly() -> None:
            began.set()
            await goes_on.wait()

        async def first() -> None:
            done.append(await asked(app, MINE, slowly))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await began.wait()
            status, body = await asked(app, MINE)
            assert status == 429 and body.startswith(b"All your chats are being exported already")
            assert (await asked(app, "other"))[0] == 200
            goes_on.set()
        assert done[0][0] == 200 and done[0][1].startswith(b"PK")
        assert (await asked(app, MINE))[0] == 200

    anyio.run(all_of_them)
    assert not list((tmp_path / FOLDER).iterdir())


def test_a_reader_who_leaves_takes_nobodys_turn(app: Starlette, tmp_path: Path) -> None:
    async def gone() -> None:
        raise OSError("the connection is closed")

    async def both() -> None:
        with pytest.raises(OSError, match="closed"):
            await asked(app, MINE, gone)
        assert (await asked(app, MINE))[0] == 200

    anyio.run(both)
    assert not list((tmp_path / FOLDER).iterdir())


def test_no_file_is_left_on_a_disk_that_is_nearly_full(
    app: Starlette, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=RESERVE))
    status, body = anyio.run(asked, app, MINE)
    assert status == 413
    assert body.startswith(b"All your chats as one file need more room than the 100 MB that are free")
    assert not list((tmp_path / FOLDER).iterdir())
