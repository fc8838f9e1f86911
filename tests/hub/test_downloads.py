"""What somebody notices who downloads a model: how far it is, and what happens when it breaks off."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.tiny import save_pebble
from tests.hub.conftest import NEW, OLD, files, weights
from tests.hub.fake_hub import TOKEN, FakeHub, Repo
from tests.sizes import size
from vlm_app import hub as room
from vlm_app.engine import LocalBackend
from vlm_app.engine.backend import Plan, Progress, Watch
from vlm_app.errors import ModelUnavailable
from vlm_app.hub import fetching, reach
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Task

BIG = weights(a=[1024, 1024], b=[1024])  # 2.1 MB
ROW = Checkpoint("big", "Big", "qwen2_5_vl", "some/big", frozenset({Task.CHAT}))


@pytest.fixture
def big(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A Hub with a model whose weights come in two files, told of without a pause."""
    index = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    more = {
        "model-1.safetensors": BIG,
        "model-2.safetensors": weights(b=[1024, 1000]),
        "model.safetensors.index.json": index,
        "consolidated.safetensors": BIG,
        "README.md": b"#",
        "onnx/config.json": b"{}",
    }
    parts = {"config.json": files(model_type="qwen2_5_vl")["config.json"]} | more
    hub.repos["some/big"] = Repo({OLD: parts})
    monkeypatch.setattr(fetching, "_BEAT", 0.0)
    monkeypatch.setattr(fetching, "_PAUSE", 0.01)
    return hub


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def stopped_after(share: float) -> Callable[[int, int], None]:
    """A listener that no longer wants a download that has come so far."""

    def report(done: int, total: int) -> None:
        if total and done >= share * total:
            raise ModelUnavailable("Loading was cancelled.")

    return report


# --- a download that works ----------------------------------------------------------------


def test_a_download_tells_how_many_bytes_have_come(big: FakeHub) -> None:
    told: list[tuple[int, int]] = []
    folder = room.download(ROW, lambda done, total: told.append((done, total)))
    wanted = {"config.json", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"}
    assert set(sizes(folder)) == wanted
    total = sum(sizes(folder).values())
    assert {of for _, of in told} == {total}
    done = [bytes for bytes, _ in told]
    assert done == sorted(done) and done[-1] == total and len(done) > 20
    assert (folder / "model-1.safetensors").read_bytes() == BIG


def test_what_is_complete_is_taken_without_asking_anybody(big: FakeHub) -> None:
    assert room.on_disk() == frozenset()
    folder = room.download(ROW)
    assert room.on_disk() == {"some/big"}
    asked = len(big.asked)
    assert room.download(ROW) == folder
    assert len(big.asked) == asked


def test_a_model_of_which_a_file_is_gone_is_not_on_disk_and_only_that_file_is_fetched(big: FakeHub) -> None:
    folder = room.download(ROW)
    lost = folder / "model-2.safetensors"
    lost.resolve().unlink()
    assert room.on_disk() == frozenset()
    big.asked.clear()
    assert room.download(ROW) == folder and lost.is_file()
    assert len([path for path in big.asked if path.startswith("/large/")]) == 1


def test_the_token_is_not_carried_to_where_the_weights_lie(big: FakeHub) -> None:
    room.sign_in(TOKEN)
    room.download(ROW)
    sent = {path.split("/")[1]: token for path, token in zip(big.asked, big.tokens, strict=True)}
    assert sent["large"] == "" and sent["some"] == TOKEN


def test_the_locked_commit_is_downloaded_until_it_is_upgraded(big: FakeHub) -> None:
    room.keep("some/big", OLD)
    parts = big.repos["some/big"].commits[OLD]
    big.repos["some/big"].commits[NEW] = parts | {"new.json": b"{}"}
    assert room.download(ROW).name == OLD
    room.upgrade("some/big")
    assert room.on_disk() == frozenset()
    big.asked.clear()
    later = room.download(ROW)
    assert later.name == NEW and "new.json" in sizes(later)
    assert not [path for path in big.asked if path.startswith("/large/")]  # the weights are the same


def test_two_who_download_at_once_download_it_once(big: FakeHub) -> None:
    big.pause = 0.002
    folders: list[Path] = []
    waited: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: folders.append(room.download(ROW, lambda done, total: waited.append(total)))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(folders) == 2 and folders[0] == folders[1]
    assert len([path for path in big.asked if path.startswith("/large/")]) == 2  # its two files


def test_a_model_that_is_not_here_is_downloaded_and_loaded_in_one_go(hub: FakeHub, tmp_path: Path) -> None:
    folder = save_pebble(tmp_path / "pebble")
    hub.repos["some/pebble"] = Repo({OLD: {path.name: path.read_bytes() for path in folder.iterdir()}})
    told: list[Progress] = []
    row = dataclasses.replace(ROW, source="some/pebble", family="pebble")
    loaded = LocalBackend().load(Plan(row, "bf16", 0, 0), Watch(told.append))
    assert loaded.bytes > 100_000
    stages = [progress.stage for progress in told]
    assert stages == sorted(stages) and set(stages) == {"downloading", "loading"}
    assert told[stages.index("loading") - 1].share == 1


# --- breaks -------------------------------------------------------------------------------


def test_a_cancelled_download_ends_in_mid_file_and_goes_on_from_there(big: FakeHub) -> None:
    with pytest.raises(ModelUnavailable, match=r"^Loading was cancelled\.$"):
        room.download(ROW, stopped_after(0.25))
    assert room.on_disk() == frozenset()
    (part,) = settings().data.rglob("*.incomplete")
    had = part.stat().st_size
    assert 0 < had < len(BIG)
    told: list[int] = []
    folder = room.download(ROW, lambda done, total: told.append(done))
    assert big.ranges == [f"bytes={had}-"]
    assert told[0] >= had
    assert (folder / "model-1.safetensors").read_bytes() == BIG


def test_a_slow_download_is_cancelled_within_a_second(big: FakeHub) -> None:
    big.pause = 0.05  # about a megabyte a second
    begun: list[float] = []

    def report(done: int, total: int) -> None:
        if done > 200_000:
            begun.append(time.monotonic())
            raise ModelUnavailable("Loading was cancelled.")

    with pytest.raises(ModelUnavailable):
        room.download(ROW, report)
    assert time.monotonic() - begun[0] < size(30, 1)


def test_a_connection_that_drops_is_made_again(big: FakeHub) -> None:
    big.breaks = [300_000, 500_000]
    folder = room.download(ROW)
    assert big.ranges == ["bytes=300000-", "bytes=800000-"]
    assert (folder / "model-1.safetensors").read_bytes() == BIG


def test_a_connection_that_brings_nothing_any_more_is_a_sentence_with_the_numbers(big: FakeHub) -> None:
    big.breaks = [1_000_000] + [0] * 20
    with pytest.raises(ModelUnavailable, match=r"broke off after 1 MB of 4 MB: .* it goes on from there\.$"):
        room.download(ROW)
    big.breaks.clear()
    assert (room.download(ROW) / "model-1.safetensors").read_bytes() == BIG


def test_a_file_that_changed_between_two_downloads_is_not_kept(big: FakeHub) -> None:
    with pytest.raises(ModelUnavailable):
        room.download(ROW, stopped_after(0.25))
    (part,) = settings().data.rglob("*.incomplete")
    part.write_bytes(b"\0" * part.stat().st_size)
    with pytest.raises(ModelUnavailable, match=r"model-1\.safetensors arrived damaged"):
        room.download(ROW)
    assert (room.download(ROW) / "model-1.safetensors").read_bytes() == BIG


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "try again in 7 seconds"), (401, "sign in again"), (503, "status 503; try again later")],
)
def test_a_hub_that_refuses_is_one_sentence(big: FakeHub, status: int, words: str) -> None:
    big.status = status
    with pytest.raises(ModelUnavailable, match=rf"^Big could not be downloaded .*{words}.*\.$"):
        room.download(ROW)
    assert room.revision("some/big") == ""


def test_a_repository_that_is_gone_and_one_behind_a_licence_are_named(big: FakeHub) -> None:
    lost = dataclasses.replace(ROW, source="some/lost")
    with pytest.raises(ModelUnavailable, match=r"there is no such public repository"):
        room.download(lost)
    big.repos["some/big"].gated = "manual"
    with pytest.raises(ModelUnavailable, match=r"accept the licence at https://\S+/some/big, then sign in"):
        room.download(ROW)
    assert room.revision("some/big") == ""
    room.sign_in(TOKEN)
    assert room.download(ROW).name == OLD


# --- the disk -----------------------------------------------------------------------------


def test_a_disk_that_is_too_small_is_said_before_anything_is_downloaded(
    big: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(settings().data.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2_000_000))
    with pytest.raises(
        ModelUnavailable, match=r"^Big needs 4 MB more on the disk, and 2 MB are free: free some space"
    ):
        room.download(ROW)
    assert not [path for path in big.asked if "resolve" in path or "large" in path]


def test_a_disk_that_runs_full_on_the_way_keeps_what_has_come(
    big: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(path: Path, *args: Any, **options: Any) -> Any:
        file = opened(path, *args, **options)
        if path.suffix == ".incomplete" and args[0] != "rb":
            return Full(file)
        return file

    class Full:
        """A file on a disk with half a megabyte left."""

        def __init__(self, file: Any) -> None:
            self.file = file
            self.left = 500_000

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> int:
            self.left -= len(data)
            if self.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self.file.write(data))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(ModelUnavailable, match=r"the disk is full; free some space and try again"):
            room.download(ROW)
    (part,) = settings().data.rglob("*.incomplete")
    assert part.stat().st_size > 400_000
    assert (room.download(ROW) / "model-1.safetensors").read_bytes() == BIG


# --- reaching the Hub ---------------------------------------------------------------------


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_probe", reach._Probe())


def known(seconds: float = 60.0) -> bool | None:
    """The answer, once there is one."""
    end = time.monotonic() + 60
    while (answer := room.reachable(seconds)) is None and time.monotonic() < end:
        time.sleep(0.01)
    return answer


def test_a_hub_that_answers_is_reachable_and_is_asked_once_a_minute(
    hub: FakeHub, unasked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert room.reachable(60.0) is None
    assert known() is True
    assert room.reachable() is True and len(hub.asked) == 1
    hub.status = 503
    monkeypatch.setattr(reach, "_FRESH", 0.0)
    assert room.reachable() is True  # until the new answer is there
    end = time.monotonic() + 10
    while room.reachable() and time.monotonic() < end:
        time.sleep(0.01)
    assert room.reachable() is False


def test_in_offline_mode_nobody_is_asked(unasked: None) -> None:
    assert room.reachable() is False  # the tests run in offline mode


def test_a_hub_that_says_nothing_is_out_of_reach_after_the_time_given_and_keeps_nobody_waiting(
    hub: FakeHub, unasked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = threading.Event()
    monkeypatch.setattr(reach, "_answers", lambda seconds: silent.wait(20))
    begun = time.monotonic()
    assert room.reachable(0.2) is None
    assert known(0.2) is False
    assert time.monotonic() - begun < size(15, 2)
    silent.set()


def test_an_address_where_nobody_listens_is_out_of_reach(
    hub: FakeHub, unasked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert known() is False


def test_importing_what_the_app_imports_opens_no_connection() -> None:
    code = """
import socket

def refuse(*args, **more):
    raise AssertionError(f"a socket was opened for {args}")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.getaddrinfo = socket.create_connection = refuse
from vlm_app.engine import set_library_defaults
set_library_defaults()
import accelerate, bitsandbytes, gradio, huggingface_hub, peft, torch, torchvision, transformers
import app, vlm_app.cli, vlm_app.hub, vlm_app.engine.local, vlm_app.engine.loading, vlm_app.ui
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig
bitsandbytes.nn.Linear4bit(64, 64), bitsandbytes.nn.Linear8bitLt(64, 64)
print("done")
"""
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert run.returncode == 0 and run.stdout.strip().endswith("done"), run.stderr
