"""`transformers serve` over HTTP on the loopback interface, asked as any client would."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.serve.asked import Asked
from vlm_app.engine import cores
from vlm_app.types import Checkpoint, Picture, Request, Turn

COMMIT = "0" * 40
UP_SECONDS = 120


class Peer:
    """A running server with one model. A context manager."""

    def __init__(self, row: Checkpoint) -> None:
        self._row = row
        self._model = f"benchmark/{row.family}"

    def __enter__(self) -> Peer:
        import torch

        self._folder = TemporaryDirectory()
        folder = Path(self._folder.name)
        cached = folder / f"models--{self._model.replace('/', '--')}"
        (cached / "snapshots").mkdir(parents=True)
        (cached / "snapshots" / COMMIT).symlink_to(self._row.source)
        (cached / "refs").mkdir()
        (cached / "refs" / "main").write_text(COMMIT)
        self._port = free_port()
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", "--dtype", "bfloat16"]
        command += ["--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--device", "cuda" if torch.cuda.is_available() else "cpu"]
        ours = {"OMP_NUM_THREADS": str(cores.most()), "HF_HUB_CACHE": str(folder)}
        self._log = folder / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | ours)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._folder.cleanup()

    def ask(self, request: Request) -> Asked:
        """A streamed answer; the server counts its tokens, we its seconds."""
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        connection.request(
            "POST", "/v1/chat/completions", self._body(request), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        first, text, usage = 0.0, "", {}
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            content = chunk["choices"][0]["delta"].get("content") if chunk.get("choices") else None
            if content and not first:
                first = time.monotonic() - start
            text += content or ""
            usage = chunk.get("usage") or usage
        total = time.monotonic() - start
        connection.close()
        if usage.get("completion_tokens") != request.sampling.max_tokens:
            raise RuntimeError(f"The server answered with {usage}: {self._log.read_text()[-2000:]}")
        return Asked(first, total, usage["prompt_tokens"], usage["completion_tokens"], text)

    def _body(self, request: Request) -> str:
        return json.dumps(
            {
                "model": self._model,
                "messages": [_message(turn) for turn in request.turns],
                "max_tokens": request.sampling.max_tokens,
                "temperature": 0.0,
                "stream": True,
            }
        )

    def _wait(self) -> None:
        for _ in range(10 * UP_SECONDS):
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                    return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        self._process.kill()
        raise RuntimeError(f"The server did not come up: {self._log.read_text()[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _message(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role.value, "content": [_part(part) for part in turn.parts]}


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, Picture):
        return {"type": "text", "text": part}
    file = io.BytesIO()
    part.pixels.save(file, "PNG", compress_level=1)
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
