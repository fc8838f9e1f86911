"""After an unload the memory is back: that of tensors exactly, and in the long run that of the process."""

from __future__ import annotations

import logging

import pytest

from tests.engine.live_bytes import live_bytes, own_bytes
from tests.engine.ready import Ready
from tests.families import checkpoints
from tests.sizes import LEAK_BYTES, LEAK_ROUNDS, LEAK_WARM, LEAK_WHOLE
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.backend import LoadCancelled, Plan, Progress, Watch
from vlm_app.engine.local import LocalBackend
from vlm_app.errors import GenerationFailed, ModelUnavailable
from vlm_app.types import Request, Role, Sampling, Task, Turn

FAMILIES = ("llava", "qwen2_5_vl", "florence2")
PRECISIONS = ("bf16", "int8", "nf4")
PAIRS = [(family, precision) for family in FAMILIES for precision in PRECISIONS]
if not LEAK_WHOLE:
    PAIRS = list(zip(FAMILIES, PRECISIONS, strict=True))


# pytest keeps what is logged, and with a traceback whatever its frames refer to: loggers that
# would log one are switched off here.


def ask(loaded: LoadedModel) -> str:
    turns = (Turn(Role.USER, (checkpoints.picture(), "What is in the image?")),)
    tasks = loaded.family.tasks
    task = Task.CHAT if Task.CHAT in tasks else next(task for task in Task if task in tasks)
    asked = Request(turns, loaded.checkpoint.id, task, "a circle", sampling=Sampling(max_tokens=4))
    engine = Engine({loaded.checkpoint.id: loaded.checkpoint}, Ready(loaded))
    try:
        *_, last = engine.answer(asked)
    finally:
        engine.close()
    assert last.answer is not None
    return last.answer.raw


def turn(family: str, precision: str) -> None:
    """Load, ask, unload."""
    backend = LocalBackend()
    loaded = backend.load(Plan(checkpoints.row(family), precision, 0, 0, "cpu"), Watch())
    assert ask(loaded)
    backend.unload(loaded)


@pytest.mark.parametrize(("family", "precision"), PAIRS)
def test_after_an_unload_no_byte_of_a_tensor_is_left(family: str, precision: str) -> None:
    turn(family, precision)  # what a first use leaves behind for good
    before = live_bytes()
    turn(family, precision)
    assert live_bytes() == before


def test_a_model_that_somebody_still_refers_to_is_let_go_of() -> None:
    backend = LocalBackend()
    before = live_bytes()
    loaded = backend.load(Plan(checkpoints.row("llava"), "bf16", 0, 0, "cpu"), Watch())
    assert live_bytes() - before >= loaded.bytes
    backend.unload(loaded)
    assert live_bytes() == before
    with pytest.raises(RuntimeError, match="llava was unloaded"):
        loaded.model  # noqa: B018 - reading it raises


def test_a_model_that_failed_while_answering_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    turn("llava", "bf16")
    backend = LocalBackend()
    before = live_bytes()
    loaded = backend.load(Plan(checkpoints.row("llava"), "bf16", 0, 0, "cpu"), Watch())

    def full(*inputs: object, **more: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patched:
        patched.setattr("vlm_app.engine.batching.prefill.step", full)
        patched.setattr(logging.getLogger("vlm_app.engine.local_answer"), "disabled", True)
        with pytest.raises(GenerationFailed, match="ran out of memory"):
            ask(loaded)
    backend.unload(loaded)
    assert live_bytes() == before


def test_a_load_that_was_cancelled_or_failed_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    turn("llava", "bf16")
    before = live_bytes()

    def halfway(progress: Progress) -> None:
        if progress.done > progress.total // 2 > 0:
            watch.cancel()

    monkeypatch.setattr("vlm_app.engine.loading._BEAT", 0.0)
    watch = Watch(halfway)
    plan = Plan(checkpoints.row("llava"), "bf16", 0, 0, "cpu")
    with pytest.raises(LoadCancelled, match="cancelled"):
        LocalBackend().load(plan, watch)
    assert live_bytes() == before
    with monkeypatch.context() as patched:
        patched.setattr(logging.getLogger("vlm_app.engine.loading"), "disabled", True)
        patched.setattr("vlm_app.engine.loading.keep_weights_as_they_are", lambda model: 1 / 0)
        with pytest.raises(ModelUnavailable):
            LocalBackend().load(plan, Watch())
    assert live_bytes() == before


@pytest.mark.timeout(1800)  # the full size takes minutes
def test_loading_asking_and_unloading_over_and_over_takes_no_more_memory() -> None:
    held = []
    for _ in range(LEAK_ROUNDS):
        for family, precision in PAIRS:
            turn(family, precision)
        held.append(own_bytes())
    growth = (held[-1] - held[LEAK_WARM]) / (LEAK_ROUNDS - 1 - LEAK_WARM)
    assert growth <= LEAK_BYTES, [round(bytes / 1e6, 1) for bytes in held]
