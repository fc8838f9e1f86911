"""How fast answers are: `python -m benchmarks.serve [--json FILE] [--quick]`.

Measures this app through `Engine.answer` against plain `model.generate` with a streamer and against
`transformers serve` over HTTP: the same weights in bf16, the same prompts, the same numbers of
tokens and threads, round by round in turn. Prints the table with what is wanted, for the CPU and,
where there is one, for the GPU, and writes JSON.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.serve import models, users
from benchmarks.serve.rows import Row, show
from benchmarks.serve.start import started
from benchmarks.serve.users import Size
from vlm_app.engine import cores, set_library_defaults

QUICK = Size(rounds=1, tokens=16, long=48, after=4)
SIDE, LARGE_SIDE = 256, 900  # pixels: 64 and 1,024 visual tokens


def measure(size: Size, folder: Path) -> list[Row]:
    """Every row of the device that torch has here."""
    import torch

    from benchmarks.serve.ours import Ours
    from benchmarks.serve.plain import Plain
    from benchmarks.shapes import small

    cores.one()  # idle threads of OpenMP slow down whoever computes
    pebble, large = models.pebble(folder / "pebble"), models.wordy(small(folder / "small"))
    adapters = {row.id: models.adapt(row) for row in (pebble, large)}
    ours = Ours(pebble, large)
    rows = []
    for row, side in ((pebble, SIDE), (large, LARGE_SIDE)):
        rows += users.conversation(row, ours, Plain(row), side, size, wanted=row is large)
        rows += users.looks(row, ours, side, size.after, adapters[row.id])
    rows += users.crowd(pebble, ours, Plain(pebble), size, SIDE, of_one=3.0)
    rows += users.ninth(pebble, ours, size, SIDE)
    ours.close()
    if torch.cuda.is_available():
        return rows + _on_cuda(size, folder)
    return rows + started(min(size.rounds, 3))


def _on_cuda(size: Size, folder: Path) -> list[Row]:
    from benchmarks.serve.gpu import decoding
    from benchmarks.shapes import QWEN, qwen

    rows = []
    for number, name in enumerate(QWEN):
        rows += decoding(models.wordy(qwen(name, folder / f"shape-{number}")), size)
    return rows


def facts() -> dict[str, Any]:
    """What the figures depend on."""

    from benchmarks.shapes import machine

    libraries = {name: version(name) for name in ("torch", "transformers")}
    return {
        "machine": machine(),
        "cores": os.cpu_count(),
        "threads": cores.most(),
        "python": sys.version.split()[0],
        **libraries,
        "date": datetime.date.today().isoformat(),
    }


def _without_gpu(size: str, folder: Path) -> dict[str, Any]:
    """The CPU's table on a machine with a GPU: a process that sees none."""
    path = folder / "cpu.json"
    command = [sys.executable, "-m", "benchmarks.serve", "--json", str(path), *size.split()]
    subprocess.run(command, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, check=True)
    return dict(json.loads(path.read_text())["cpu"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast answers are.")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--quick", action="store_true", help="one short round: whether it runs, not how fast")
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # all weights are here: nobody waits for a Hub that is out of reach
    set_library_defaults()
    tables: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["VLM_APP_DATA"] = str(folder / "data")  # its adapters are not the user's
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda":
            tables["cpu"] = _without_gpu("--quick" if args.quick else "", folder)
        tables[device] = facts() | {"rows": measure(QUICK if args.quick else Size(), folder)}
    for device, table in tables.items():
        about = ", ".join(f"{key} {value}" for key, value in table.items() if key not in ("rows", "machine"))
        show(f"{device}: {table['machine']} ({about})", table["rows"])
    if args.json:
        args.json.write_text(json.dumps(tables, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
