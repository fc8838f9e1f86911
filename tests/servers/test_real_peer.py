"""A real server: `transformers serve`, with a tiny checkpoint that was taught to ground.

The same question in this process and through the server gives the same text and regions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.ready import Ready
from tests.families import checkpoints
from tests.families.test_taught import answer, requests, teach
from tests.ports import free_port
from vlm_app import servers
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.grounding import bounds, iou
from vlm_app.servers.breaker import forget
from vlm_app.types import Answer, Request, Task

# Its coordinates are plain text: the server keeps special tokens to itself.
FAMILY = "qwen2_5_vl"
MODEL = "me/circles"  # as it lies in the Hub's cache
COMMIT = "0" * 40
UP_SECONDS = 120


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A checkpoint that finds a circle, in memory and on disk."""
    loaded = load_checkpoint(checkpoints.row(FAMILY), "fp32")
    teach(loaded)
    cache = tmp_path_factory.mktemp("cache") / f"models--{MODEL.replace('/', '--')}"
    folder = cache / "snapshots" / COMMIT
    loaded.model.save_pretrained(folder)
    loaded.processor.save_pretrained(folder)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(COMMIT)
    return load_checkpoint(replace(checkpoints.row(FAMILY), source=str(folder)), "fp32")


@pytest.fixture(scope="module")
def peer(taught: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running `transformers serve`."""
    port = free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = (tmp_path_factory.mktemp("peer") / "log").open("w+")
    cache = Path(taught.checkpoint.source).parents[2]
    environment = {**os.environ, "HF_HUB_CACHE": str(cache)}
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        _wait_until_up(f"http://127.0.0.1:{port}/health", process, Path(log.name))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(4 * UP_SECONDS):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    pytest.fail(f"The server did not come up:\n{log.read_text()[-3000:]}")


@pytest.fixture
def engine(peer: str, taught: LoadedModel) -> Iterator[Engine]:
    servers.add("peer", peer, "transformers")
    servers.discover("peer")
    servers.assign("peer", MODEL, FAMILY)
    engine = Engine(catalog(), Ready(taught))
    yield engine
    engine.close()
    forget("peer")


def test_the_server_says_which_models_it_has(engine: Engine) -> None:
    assert servers.discover("peer").models == {MODEL: FAMILY}


@pytest.mark.timeout(300)
def test_here_and_through_the_server_the_same_is_found(engine: Engine, taught: LoadedModel) -> None:
    for request, region in requests(FAMILY):
        here = answer(taught, request)
        there = ask(engine, request)
        assert there.text == here.text and there.regions == here.regions
        assert iou(bounds(there.regions[0].shape), bounds(region.shape)) >= 0.9
        assert request.task is Task.DETECT and there.finish is here.finish


def ask(engine: Engine, request: Request) -> Answer:
    asked = Request(request.turns, f"peer/{MODEL}", request.task, request.query, sampling=request.sampling)
    *_, last = engine.answer(asked)
    assert last.answer is not None
    return last.answer
