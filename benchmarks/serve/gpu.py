"""Decoding on CUDA, where a token costs the time in which the weights are read."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.serve.models import first_turn, picture
from benchmarks.serve.ours import Ours
from benchmarks.serve.plain import Plain
from benchmarks.serve.rows import PLAIN, Row, alone, compared
from benchmarks.serve.users import Size, crowd
from vlm_app.engine.releasing import release
from vlm_app.types import Checkpoint

WARM_SECONDS = 120.0  # compiling and capturing go on behind the first answers
_BUFFER = 2**30  # bytes
_SIDE = 224
FASTER = {"Qwen2.5-VL-3B shape": 3.0}  # than plain generate, where that is wanted
OF_BOUND = 0.7


def bandwidth() -> float:
    """Bytes a second that this GPU copies, read and written both counted."""
    import torch

    source = torch.empty(_BUFFER, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    seconds = []
    for _ in range(20):
        torch.cuda.synchronize()
        start = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * _BUFFER / statistics.median(seconds)


def read_bytes(model: Any) -> int:
    """Bytes of the weights that one new token reads: the decoder and the head, no table of embeddings."""
    decoder, head = model.model.language_model, model.get_output_embeddings().weight
    table = decoder.get_input_embeddings().weight
    layers = sum(each.nbytes for each in decoder.parameters() if each is not table)
    return int(layers + head.nbytes)


def decoding(row: Checkpoint, size: Size) -> list[Row]:
    """One user against the bound of memory and against plain generate; then eight users."""
    plain, ours = Plain(row), Ours(row)
    weights, speed = read_bytes(plain.model), bandwidth()
    request = first_turn(row, picture(5000, _SIDE), size.tokens, 1)
    until = time.monotonic() + WARM_SECONDS
    while time.monotonic() < until:
        ours.ask(request)
    rates: dict[str, list[float]] = {"ours": [], PLAIN: []}
    for number in range(size.rounds + 1):
        asked = first_turn(row, picture(5001 + number, _SIDE), size.tokens, 1)
        rates["ours"].append(ours.ask(asked).rate)
        rates[PLAIN].append(plain.ask(asked).rate)
    share = statistics.median(rates["ours"][1:]) * weights / speed
    wanted = {PLAIN: FASTER[row.name]} if row.name in FASTER else None
    what = f"one user, decode ({row.name}, bf16, {size.tokens} new)"
    rows = [
        compared(what, "tokens/s", rates["ours"][1:], {PLAIN: rates[PLAIN][1:]}, wanted),
        alone(
            f"{what}: share of the bound ({weights / 1e9:.2f} GB a token, {speed / 1e12:.2f} TB/s)",
            "share",
            share,
            OF_BOUND,
            least=True,
        ),
    ]
    rows += crowd(row, ours, plain, size, _SIDE, of_one=6.0)
    ours.close()
    del plain
    release()
    return rows
