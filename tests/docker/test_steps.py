"""What the image would be: its Dockerfile's steps in a clean folder, run by a user who cannot write."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.docker.steps import USER, Image, can_look, user
from tests.ports import free_port
from tests.sizes import IMAGE_WHOLE
from vlm_app.settings import ROOT

pytestmark = pytest.mark.timeout(3600 if IMAGE_WHOLE else 300)  # seconds: the whole one fetches 3.4 GB
SECRET = "hf_this_is_nobodys_business"


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, from a checkout in which secrets and data lie about."""
    if not can_look():
        pytest.skip("The Python of these tests lies where only its owner may look")
    folder = Path(tempfile.mkdtemp(prefix="vlm-app-image-", dir="/var/tmp"))
    folder.chmod(0o755)
    context, root = folder / "checkout", folder / "root"
    written = (".hypothesis", "__pycache__")  # by other tests meanwhile
    left_out = shutil.ignore_patterns(".git", ".venv", ".*_cache", "data", "build", *written)
    shutil.copytree(ROOT, context, ignore=left_out)
    for name in (".env", "token", "vlm_app/.env", ".git/config", "data/app.db"):
        (context / name).parent.mkdir(exist_ok=True)
        (context / name).write_text(SECRET)
    root.mkdir()
    before, whose = user()
    if whose:
        subprocess.run(["chown", "-R", f"{USER}:{USER}", folder], check=True)
    build = ["-m", "tests.docker.steps", str(root), str(context), *["whole"] * IMAGE_WHOLE]
    here = os.environ | {"PYTHONPATH": str(context)}
    subprocess.run([*before, sys.executable, *build], cwd=context, env=here, check=True, **whose)
    made = Image(root, context, bool(IMAGE_WHOLE))
    made.look()
    yield made
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


def files(root: Path) -> set[Path]:
    """All but what lies in the volumes and in /tmp."""
    return {path for name in ("app", "usr") for path in (root / name).rglob("*")} | set(root.iterdir())


def holding(root: Path, text: str) -> list[Path]:
    """The files that hold this text."""
    return [path for path in root.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def asked(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.request("GET", path, headers={"accept": "text/html"})
        with connection.getresponse() as response:
            return response.status, response.read()


def test_the_image_serves_writes_nothing_but_its_volumes_and_ends_with_0(image: Image) -> None:
    assert holding(image.root / "app", SECRET) == []
    assert image.run(["id", "-u"]).strip() != "0"
    port, before = free_port(), files(image.root)
    image.environment["VLM_APP_PORT"] = str(port)
    words = [*image.meta["ENTRYPOINT"].words, *image.meta["CMD"].words]
    begun = words if shutil.which(words[0]) else words[2:]  # `tini --`, where this machine has it
    log = image.root.parent / "log"
    with log.open("w") as written:
        server = image.start(begun, stdout=written, stderr=subprocess.STDOUT)
    try:
        health = json.loads(image.meta["HEALTHCHECK"].rest.partition(" CMD ")[2])
        wait(lambda: image.start(health, stderr=subprocess.DEVNULL).wait(60) == 0, server, log)
        status, page = asked(port, "/")
        assert status == 200 and b"<html" in page
        wait(lambda: asked(port, "/ready")[0] == 200, server, log)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()
    said = log.read_text().splitlines()
    assert [line.partition(" at ")[0] for line in said[:1]] == ["vlm-app is running"], said
    assert [line.partition(":")[0] for line in said[1:]] == ["vlm-app is ending"], said
    assert files(image.root) == before
    assert (image.root / "data/app.db").exists()


def wait(true: Callable[[], bool], server: subprocess.Popen[str], log: Path) -> None:
    """Until it is true, for two minutes at most, while the server runs."""
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        with suppress(OSError):
            if true():
                return
        time.sleep(0.5)
    pytest.fail(f"It did not happen:\n{log.read_text()[-3000:]}")
