"""What somebody notices when a model loads, or does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from tests.engine.ready import Ready
from tests.engine.tiny import picture, request, row
from tests.families import checkpoints
from vlm_app.engine import Engine, LoadedModel, LocalBackend, loading, set_library_defaults
from vlm_app.engine.backend import LoadCancelled, Plan, Progress, Watch
from vlm_app.engine.events import Event, Loaded, LoadFailed, Loading, LoadProgress
from vlm_app.engine.loading import load_checkpoint, out_of_memory, peak_bytes
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint


def wait_for(engine: Engine, status: str) -> None:
    end = time.monotonic() + 60
    while engine.state("pebble").status != status:
        assert time.monotonic() < end, engine.state("pebble")
        time.sleep(0.01)


def test_a_model_is_warmed_in_the_background_and_says_how_it_is(folder: Path) -> None:
    engine = Engine({"pebble": row(folder)}, LocalBackend())
    events: list[Event] = []
    engine.subscribe(events.append)
    assert engine.state("pebble").status == "unloaded"
    engine.warm("pebble")
    assert engine.state("pebble").status in ("loading", "ready")
    wait_for(engine, "ready")
    engine.warm("pebble")
    state = engine.state("pebble")
    assert (
        state.detail == "Pebble is ready."
        and state.bytes > 100_000
        and state.precision in ("bf16", "fp16", "fp32")
    )
    wait_until_told = time.monotonic() + 60
    while not any(isinstance(event, Loaded) for event in events) and time.monotonic() < wait_until_told:
        time.sleep(0.01)
    told = [event for event in events if not isinstance(event, LoadProgress)]
    assert [type(event) for event in told] == [Loading, Loaded]
    assert any(isinstance(event, LoadProgress) for event in events)


def test_a_loaded_model_has_one_precision_and_no_gradients(loaded: LoadedModel) -> None:
    assert {p.dtype for p in loaded.model.parameters()} == {loaded.model.dtype}
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert (
        loaded.precision
        == {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}[loaded.model.dtype]
    )
    assert loaded.bytes == sum(t.nbytes for t in (*loaded.model.parameters(), *loaded.model.buffers()))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"files of Pebble are missing: .* in 'nowhere'"):
        load_checkpoint(row(tmp_path / "nowhere"))


def test_weights_that_could_run_code_are_not_loaded(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="weights in safetensors"):
        load_checkpoint(row(copy))


def test_damaged_weights_are_refused_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(
        ModelUnavailable, match=r"^Pebble could not be loaded: its files are damaged"
    ) as failure:
        load_checkpoint(row(copy))
    assert failure.value.__context__ is None
    assert str(tmp_path) not in str(failure.value)


def test_a_failed_load_reaches_all_who_wait_and_is_tried_again(loaded: LoadedModel) -> None:
    loads: list[int] = []

    def loading() -> None:
        loads.append(1)
        if len(loads) == 1:
            raise ModelUnavailable("Pebble is on holiday; come back later.")

    engine = Engine({"pebble": loaded.checkpoint}, Ready(loaded, loading=loading))
    events: list[Event] = []
    engine.subscribe(events.append)
    with pytest.raises(ModelUnavailable, match="holiday"):
        list(engine.answer(request(picture(), "x")))
    assert engine.state("pebble").status == "failed" and "holiday" in engine.state("pebble").detail
    assert engine.leases == {}
    assert list(engine.answer(request(picture(), "x")))[-1].answer is not None
    assert len(loads) == 2
    assert any(isinstance(event, LoadFailed) for event in events)


def test_a_fault_while_loading_leaves_nobody_waiting(loaded: LoadedModel) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    engine = Engine({"pebble": loaded.checkpoint}, Ready(loaded, loading=fail))
    with pytest.raises(ModelUnavailable, match="could not be loaded by a fault in the app"):
        list(engine.answer(request(picture(), "x")))


def test_without_a_network_a_model_of_the_hub_says_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests run with HF_HUB_OFFLINE=1: the real client refuses as it does without a network.
    set_library_defaults()
    with pytest.raises(ModelUnavailable) as failure:
        load_checkpoint(row("some/model", name="Other"))
    assert str(failure.value) == (
        "Other could not be downloaded from the Hugging Face Hub (some/model): check the network and "
        "the free disk space and try again, or choose the built-in model."
    )


def test_importing_the_engine_imports_no_torch() -> None:
    code = "import sys, vlm_app.engine, vlm_app.families; vlm_app.families.names(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "numpy"} & set(run.stdout.split())


# --- progress, and the end of a load ------------------------------------------------------


@pytest.fixture
def every_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each weight is told, however fast they come."""
    monkeypatch.setattr(loading, "_BEAT", 0.0)


def heard(checkpoint: Checkpoint) -> list[Progress]:
    told: list[Progress] = []
    loading.load(Plan(checkpoint, "bf16", 0, 0, "cpu"), Watch(told.append))
    return [progress for progress in told if progress.total]


def test_a_load_tells_how_many_weights_are_in_place(folder: Path, every_weight: None) -> None:
    told = heard(row(folder))
    total = told[-1].total
    assert {progress.stage for progress in told} == {"loading"}
    assert [progress.done for progress in told] == list(range(total + 1)) and total > 20


def test_two_loads_at_once_tell_each_of_its_own(every_weight: None) -> None:
    rows = [checkpoints.row("llava"), checkpoints.row("florence2")]
    alone = [[(progress.done, progress.total) for progress in heard(each)] for each in rows]
    assert alone[0][-1] != alone[1][-1]
    together: dict[int, list[tuple[int, int]]] = {}

    def load(number: int) -> None:
        together[number] = [(progress.done, progress.total) for progress in heard(rows[number])]

    threads = [threading.Thread(target=load, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[0], together[1]] == alone


def test_a_cancelled_load_ends_at_its_next_weight(folder: Path, every_weight: None) -> None:
    told: list[Progress] = []

    def hear(progress: Progress) -> None:
        told.append(progress)
        if progress.done == 7:
            watch.cancel()

    watch = Watch(hear)
    with pytest.raises(LoadCancelled, match="cancelled") as failure:
        loading.load(Plan(row(folder), "bf16", 0, 0, "cpu"), watch)
    assert told[-1].done == 7
    assert failure.value.__context__ is None
    assert heard(row(folder))[-1].share == 1


def test_whoever_waits_until_another_model_is_built_can_be_cancelled(folder: Path) -> None:
    watch = Watch()
    ended = threading.Event()

    def load() -> None:
        with pytest.raises(LoadCancelled):
            loading.load(Plan(row(folder), "bf16", 0, 0, "cpu"), watch)
        ended.set()

    with loading.one_build():
        threading.Thread(target=load, daemon=True).start()
        assert not ended.wait(0.3)
        watch.cancel()
        assert ended.wait(60)


def test_code_that_lies_beside_a_model_is_never_run(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    trace = tmp_path / "it-ran"
    (copy / "evil.py").write_text(f"open({str(trace)!r}, 'w')\nclass Evil: pass\n")
    for name in ("config.json", "processor_config.json", "preprocessor_config.json"):
        if (copy / name).is_file():
            kinds = ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoImageProcessor")
            said = json.loads((copy / name).read_text())
            (copy / name).write_text(json.dumps(said | {"auto_map": dict.fromkeys(kinds, "evil.Evil")}))
    assert load_checkpoint(row(copy)).model is not None
    assert not trace.exists()


@pytest.mark.parametrize(
    "said", ["CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"]
)
def test_a_gpu_without_memory_for_its_libraries_is_out_of_memory(said: str) -> None:
    assert out_of_memory(RuntimeError(said))


def test_the_peak_is_that_of_the_models_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device=None: {"cuda:1": 7}.get(device, 0))
    assert peak_bytes("cuda:1") == 7
