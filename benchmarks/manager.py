"""What the model manager costs: `python -m benchmarks.manager [--json FILE]`.

For each model and precision: a load with warm files against plain `from_pretrained` in the
same run, unloading, and what a loop of loading, asking and unloading leaves behind; then the
switch between loaded models and between adapters. On a CUDA machine it adds models of the
shapes of Qwen2.5-VL-3B and -7B with random weights. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.shapes import QWEN, encoded, machine, pebble, qwen
from vlm_app.engine import LocalBackend, adapters, set_library_defaults
from vlm_app.engine.backend import Watch
from vlm_app.engine.devices import devices
from vlm_app.engine.events import Broadcaster
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.manager import Manager
from vlm_app.engine.quantizing import dtype_of, quantization
from vlm_app.engine.releasing import release
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Checkpoint

PRECISIONS = ("bf16", "int8", "nf4")
Row = dict[str, float | str]


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result; what the device still does is waited for."""
    import torch

    begun = time.perf_counter()
    result = what()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun, result


def load(backend: LocalBackend, checkpoint: Checkpoint, precision: str) -> LoadedModel:
    """As the manager loads it."""
    watch = Watch()
    plan = backend.plan(checkpoint, precision, devices()[0].free, watch)
    return backend.load(plan, watch)


def plain(checkpoint: Checkpoint, precision: str) -> None:
    """What transformers alone does for the same model."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = dtype_of(precision, device)
    made = quantization(precision, dtype)
    placed = {"quantization_config": made, "device_map": {"": device}} if made else {}
    AutoProcessor.from_pretrained(checkpoint.source)
    model = AutoModelForImageTextToText.from_pretrained(checkpoint.source, dtype=dtype, **placed)
    if not placed:
        model.to(device)


def ask(loaded: LoadedModel) -> None:
    """One short answer about a scene."""
    import torch

    picture = picture_from(draw_scene(1, kind="shapes", most=4).image)
    with torch.inference_mode():
        loaded.model.generate(**encoded(loaded, picture), max_new_tokens=8, do_sample=False)


def held() -> int:
    """Bytes in use: on the GPU where there is one, else of this process."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)


def loading(checkpoint: Checkpoint, precision: str, rounds: int, leak_rounds: int) -> Row:
    """Loading against transformers alone, unloading, and memory a round once a loop has settled."""
    backend = LocalBackend()
    ours: list[float] = []
    theirs: list[float] = []
    gone: list[float] = []
    size = 0
    for number in range(rounds + 1):  # the first only fills caches
        first = number % 2 == 0  # neither always comes second
        for mine in (first, not first):
            if mine:
                seconds, loaded = timed(lambda: load(backend, checkpoint, precision))
                ours.append(seconds)
                size = loaded.bytes
                ask(loaded)
                gone.append(timed(lambda model=loaded: backend.unload(model))[0])
                del loaded
            else:
                theirs.append(timed(lambda: plain(checkpoint, precision))[0])
                release()
    after: list[int] = []
    for _ in range(leak_rounds):
        loaded = load(backend, checkpoint, precision)
        ask(loaded)
        backend.unload(loaded)
        del loaded
        after.append(held())
    settled = after[min(4, len(after) - 2) :]
    mine, other = statistics.median(ours[1:]), statistics.median(theirs[1:])
    return {
        "model": checkpoint.name,
        "precision": precision,
        "weights, MB": size / 1e6,
        "load, s": mine,
        "from_pretrained, s": other,
        "ratio": mine / other,
        "unload, s": statistics.median(gone[1:]),
        "growth a round, MB": (settled[-1] - settled[0]) / (len(settled) - 1) / 1e6,
    }


def switching(checkpoint: Checkpoint, rounds: int) -> Row:
    """Seconds from asking for a model that is loaded to having it, two in turn."""
    manager = Manager(LocalBackend(), Broadcaster())
    seconds: list[float] = []
    try:
        for number in range(2 * rounds + 2):
            begun = time.perf_counter()
            with manager.lease(checkpoint, ("bf16", "nf4")[number % 2]) as lease:
                while not lease.ready(1.0):
                    pass
                seconds.append(time.perf_counter() - begun)
    finally:
        manager.close()
    return {"model": checkpoint.name, "what": "switch between models", **_spread(seconds[2:])}


def made(checkpoint: Checkpoint, loaded: LoadedModel, folder: Path) -> adapters.Adapter:
    """A LoRA adapter of rank 16 on every linear layer of the language model, with random weights."""
    import torch
    from peft import LoraConfig, get_peft_model

    targets = r".*(text_model|language_model).*_proj"
    tuned = get_peft_model(loaded.model, LoraConfig(r=16, target_modules=targets))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    tuned.save_pretrained(folder)
    tuned.unload()
    return adapters.Adapter(folder.name, folder.name, checkpoint.source, "", folder)


def adapting(checkpoint: Checkpoint, precision: str, rounds: int, folder: Path) -> list[Row]:
    """Attaching, switching and detaching adapters on a loaded base."""
    import peft  # noqa: F401 - its import takes seconds, which the app does while a model loads

    backend = LocalBackend()
    base = load(backend, checkpoint, precision)
    several = [made(checkpoint, base, folder / f"{precision}-{n}") for n in range(adapters.WARM)]
    backend.unload(base)
    base = load(backend, checkpoint, precision)
    attach: list[float] = []
    switch: list[float] = []
    detach: list[float] = []
    for _ in range(rounds):
        attach += [timed(lambda a=adapter: adapters.use(base, a))[0] for adapter in several]
        ask(base)
        turns = (*several, None)
        switch += [timed(lambda a=adapter: adapters.use(base, a))[0] for adapter in turns]
        detach += [timed(lambda a=adapter: adapters.detach(base, a.id))[0] for adapter in several]
    ask(base)
    backend.unload(base)
    named = {"attach an adapter": attach, "switch adapters": switch, "detach an adapter": detach}
    return [
        {"model": f"{checkpoint.name}, {precision}", "what": what, **_spread(seconds)}
        for what, seconds in named.items()
    ]


def _spread(seconds: list[float]) -> Row:
    return {"median, ms": 1000 * statistics.median(seconds), "worst, ms": 1000 * max(seconds)}


def show(rows: list[Row]) -> None:
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{v:.3f}" if isinstance(v, float) else v for v in row.values()))
    print()


def measure(rounds: int, leak_rounds: int, shapes: tuple[str, ...]) -> dict[str, list[Row]]:
    """All rows, for Pebble and for the shapes that are named."""
    loads: list[Row] = []
    switches: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        rows = [pebble()]
        rows += [qwen(name, Path(folder) / str(number)) for number, name in enumerate(shapes)]
        release()
        for number, row in enumerate(rows):
            loads += [loading(row, precision, rounds, leak_rounds) for precision in PRECISIONS]
            switches.append(switching(row, 10 * rounds))
            for precision in PRECISIONS:
                switches += adapting(row, precision, rounds, Path(folder) / f"adapters-{number}")
    return {"loading": loads, "switching": switches}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the model manager costs.")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.add_argument("--leak-rounds", type=int, default=20, help="of loading, asking and unloading")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    set_library_defaults()
    import torch

    tables = measure(args.rounds, args.leak_rounds, tuple(QWEN) if torch.cuda.is_available() else ())
    for rows in tables.values():
        show(rows)
    if args.json:
        facts = {"machine": machine(), "date": datetime.date.today().isoformat(), **tables}
        args.json.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
