"""RapidOCR downloads nothing, says nothing, and leaves the process as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vlm_app.errors import ModelUnavailable
from vlm_app.ocr import networks

_ALONE = """
import logging, os, socket, sys, urllib3
import vlm_app.ocr.reader, vlm_app.ocr.layout, vlm_app.ocr.differences
heavy = {"cv2", "onnxruntime", "rapidocr"} & set(sys.modules)
assert not heavy, heavy

def refused(*arguments, **more):
    raise AssertionError("a socket was opened")

import cv2  # which adds its folder to LD_LIBRARY_PATH, whoever imports it
socket.socket = socket.create_connection = socket.getaddrinfo = refused
before = (dict(os.environ), logging.root.level, list(logging.root.handlers), logging.raiseExceptions)
from pathlib import Path
import importlib.util
models = Path(importlib.util.find_spec("rapidocr").origin).parent
files = {path: path.stat().st_mtime_ns for path in models.rglob("*") if "__pycache__" not in path.parts}
from PIL import Image
from tests.ocr.printed import printed
image = printed().rotate(180)
read = vlm_app.ocr.reader.Reader().read(image)
assert len(read.lines) == 4, read
assert vlm_app.ocr.reader.Reader().read(Image.new("RGB", (50, 50))).lines == ()
assert before == (dict(os.environ), logging.root.level, list(logging.root.handlers), logging.raiseExceptions)
assert not logging.getLogger("RapidOCR").handlers
now = {path: path.stat().st_mtime_ns for path in models.rglob("*") if "__pycache__" not in path.parts}
assert now == files, set(now) ^ set(files)
"""


def test_it_reads_without_a_network_without_a_word_and_changes_nothing_around_it() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", _ALONE],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and done.stderr == ""


def test_the_networks_leave_cores_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert networks.threads() == 4
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0}, raising=False)
    assert networks.threads() == 1
    assert networks._settings().EngineConfig.onnxruntime.intra_op_num_threads == 1


def test_a_package_without_its_networks_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(networks.FILES, "Rec", "lost.onnx")
    with pytest.raises(ModelUnavailable, match="one of them is missing; install it again"):
        networks.folder()
