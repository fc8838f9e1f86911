"""Whether int8 and nf4 work on this machine's GPU: `python -m benchmarks.cuda_smoke [--json FILE]`.

Loads a model of Qwen2.5-VL-3B's shape with random weights in each precision, asks it, takes
one QLoRA step with peft, asks again, unloads, and compares the memory with what it was.
Exits with 1 where there is no CUDA, or where something is wrong.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.manager import ask, held, load, show, timed
from benchmarks.shapes import QWEN, encoded, machine, pebble, qwen
from vlm_app.engine import LocalBackend, set_library_defaults
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.releasing import release
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Checkpoint

PRECISIONS = ("int8", "nf4")
_TARGETS = r".*(text_model|language_model).*\.(q_proj|v_proj)"


def train(loaded: LoadedModel) -> tuple[float, float]:
    """One QLoRA step: an example's loss before and after it. Raises `ValueError` where it is no number."""
    import torch
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(loaded.model, LoraConfig(r=8, target_modules=_TARGETS))
    picture = picture_from(draw_scene(2, kind="shapes", most=4).image)
    inputs = encoded(loaded, picture, answer="There are three shapes.")
    weights = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3)
    before = tuned(**inputs).loss
    before.backward()
    norms = [float(weight.grad.norm()) for weight in weights if weight.grad is not None]
    optimizer.step()
    with torch.no_grad():
        after = tuned(**inputs).loss
    if not (torch.isfinite(before) and torch.isfinite(after) and max(norms, default=0) > 0):
        raise ValueError(f"expected finite losses and gradients, found {before}, {after}, {norms[:4]}")
    tuned.unload()
    return float(before.detach()), float(after)


def smoke(checkpoint: Checkpoint, precision: str) -> dict[str, Any]:
    """Load, ask, train one step, ask, unload; on the device that the app would use."""
    backend = LocalBackend()
    release()
    start = held()
    seconds, loaded = timed(lambda: load(backend, checkpoint, precision))
    size = loaded.bytes
    asked = timed(lambda model=loaded: ask(model))[0]
    before, after = train(loaded)
    ask(loaded)
    backend.unload(loaded)
    del loaded
    return {
        "model": checkpoint.name,
        "precision": precision,
        "weights, MB": size / 1e6,
        "load, s": seconds,
        "answer, s": asked,
        "loss before": before,
        "loss after": after,
        "left, MB": (held() - start) / 1e6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Try int8 and nf4 on the GPU.")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    args = parser.parse_args()
    set_library_defaults()
    import torch

    if not torch.cuda.is_available():
        print("This machine has no CUDA device that torch can use: quantization on CUDA was not tried.")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        models = [pebble(), qwen(next(iter(QWEN)), Path(folder))]
        rows = [smoke(checkpoint, precision) for checkpoint in models for precision in PRECISIONS]
    show(rows)
    left = [row for row in rows if row["left, MB"] > 0.01 * row["weights, MB"]]
    if args.json:
        facts = {"machine": machine(), "date": datetime.date.today().isoformat(), "rows": rows}
        args.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
