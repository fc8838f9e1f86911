"""What a new user does, step by step, inside the bare root. Runs in namespaces of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.fresh import root as debian

INSTALLING = 1200  # seconds that an installation may take
ANSWERING = 15  # seconds from the address being printed to a first answer
TESTING = 1800
QUESTION = 'ask assets/examples/shapes.png -q "Detect the red circle." --json'
COMMAND = ".venv/bin/vlm-app"  # as `make run` installs it
MODULE = ".venv/bin/python -m vlm_app"  # the same, where only the requirements are installed


class Story:
    """The steps taken so far with their seconds, and the root in which they are taken."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[tuple[str, float]] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.settings = {"VLM_APP_PORT": str(probe.getsockname()[1])}

    def step(self, name: str, seconds: float) -> None:
        self.steps.append((name, seconds))
        print(f"== {name}: {seconds:.1f} s", flush=True)

    def run(self, command: str, *, user: int = debian.USER, limit: float = INSTALLING) -> str:
        """The command's standard output; raises when it fails or takes longer than `limit` seconds."""
        print(f"$ {command}", flush=True)
        process = debian.start(self.root, command, user=user, more=self.settings, stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=limit)
        if process.returncode:
            print(output)
            raise SystemExit(f"`{command}` ended with status {process.returncode}.")
        return output

    def serve(self, name: str, command: str, while_up: Callable[[], None]) -> None:
        """Start a server, wait for its address and its page, do something, and stop it."""
        print(f"$ {command}", flush=True)
        began = time.monotonic()
        server = debian.start(
            self.root, command, more=self.settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        stop = threading.Timer(INSTALLING, os.killpg, (server.pid, signal.SIGKILL))
        stop.start()
        try:
            address = _address(server)
            self.step(f"{name}: the address is printed", time.monotonic() - began)
            threading.Thread(target=server.stdout.read, daemon=True).start()
            page = urllib.request.urlopen(address, timeout=10).read()
            assert b"<html" in page
            while_up()
        finally:
            stop.cancel()
            os.killpg(server.pid, signal.SIGINT)
            server.wait(timeout=30)

    def ask(self, command: str) -> None:
        """A first question from the terminal, while the page is served."""
        began = time.monotonic()
        answer = json.loads(self.run(f"{command} {QUESTION}"))
        seconds = time.monotonic() - began
        self.step("a first answer in the terminal", seconds)
        print(json.dumps(answer)[:400])
        assert seconds <= ANSWERING, (
            f"the first answer took {seconds:.1f} s, at most {ANSWERING} s are promised"
        )


def _address(server: subprocess.Popen[str]) -> str:
    """The first address that the server prints."""
    for line in server.stdout or ():
        print("  " + line, end="", flush=True)
        if found := re.search(r"http://[\w.]+:\d+", line):
            return found.group()
    raise SystemExit(f"The server ended with status {server.wait()} and printed no address.")


def tell(root: Path) -> None:
    """The README's commands, in its order."""
    debian.mount(root)
    story = Story(root)
    readme = (root / debian.PROJECT / "README.md").read_text()
    plain = re.search(r"python3 -m venv .*?python app\.py", readme, re.DOTALL)
    assert "make run" in readme and "make test" in readme and plain, "the README's commands have changed"

    story.serve("make run", "make run", lambda: story.ask(COMMAND))
    story.serve("make run again", "make run", lambda: None)
    began = time.monotonic()
    story.run("make test 1>&2", user=0, limit=TESTING)
    story.step("make test", time.monotonic() - began)
    story.run("rm -rf .venv", user=0)
    story.serve("without make", plain.group().replace("\n", " && "), lambda: story.ask(MODULE))
    print("\nOn a fresh machine:")
    for name, seconds in story.steps:
        print(f"{seconds:8.1f} s  {name}")


if __name__ == "__main__":
    tell(Path(sys.argv[1]))
