"""The machine, what is loaded, verdicts and offers say what is true, and nothing in them can act."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.fake_manager import DRIVER, FakeManager
from vlm_app.catalog import catalog
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.backend import Progress
from vlm_app.engine.devices import Device
from vlm_app.engine.memory import Estimate, Fit
from vlm_app.engine.offers import Offer
from vlm_app.engine.states import ModelState
from vlm_app.ui import engine_listeners, model_bar, offer_cards, verdicts
from vlm_app.ui.machine import loaded, machine
from vlm_app.ui.settings_panel import Choices
from vlm_app.ui.state_words import ago, duration, how_far, size, status

HOSTILE = '"><script>x</script>'
GB = 10**9
LEAVING = "One is being unloaded when 1 answer has ended."
READY = ModelState("ready", "One is ready.", 2 * GB, "nf4", "cuda", "one", "One")


def fit(precision: str = "nf4", weights: int = GB, free: int = 3 * GB, exact: bool = True) -> Fit:
    return Fit(precision, Estimate(weights, 100_000_000, 200_000_000, 100_000_000, exact), free)


# --- words ------------------------------------------------------------------------------


def test_times_and_sizes_are_told_in_units_that_one_can_picture() -> None:
    assert [duration(each) for each in (0.1, 20.4, 150, 7300)] == ["1 s", "20 s", "2 min", "2 h"]
    assert [ago(each) for each in (3, 150, 7300)] == ["just now", "2 min ago", "2 h ago"]
    assert [size(each) for each in (31_000_000, 999_900_000, 1_240_000_000)] == ["31 MB", "1.0 GB", "1.2 GB"]


def test_load_tells_how_far_it_is_and_how_long_it_takes() -> None:
    begun = time.monotonic() - 15
    assert how_far(Progress("downloading", 430, 1000, begun)) == "downloading 43 %, about 20 s"
    assert how_far(Progress("loading")) == "loading"
    assert how_far(Progress()) == "getting ready"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "ready"),
        ({"holders": 1}, "answering"),
        ({"holders": 3}, "answering, 2 waiting"),
        ({"holders": 3, "room": 8}, "answering 3"),
        ({"holders": 10, "room": 8}, "answering 8, 2 waiting"),
        ({"status": "waiting"}, "waiting for memory"),
        ({"status": "loading"}, "loading"),
        ({"status": "unloaded"}, "not loaded"),
        ({"status": "unloading", "detail": "One is being unloaded."}, "unloading"),
        ({"status": "unloading", "detail": LEAVING}, "unloading when 1 answer has ended"),
        ({"status": "unloading", "detail": "Loading One is being stopped.", "holders": 1}, "unloading"),
    ],
)
def test_state_is_told_in_a_word_or_two(changed: dict[str, object], words: str) -> None:
    assert status(replace(READY, **changed)) == words


# --- the machine ------------------------------------------------------------------------


def test_bar_of_a_device_tells_our_models_from_others_and_from_what_is_free() -> None:
    html = machine([Device("cuda:0", "A GPU", 10 * GB, 5 * GB)], [READY], 8 * GB)
    assert "A GPU: 2.0 GB our models, 3.0 GB other use, 5.0 GB free" in html
    assert re.findall(r"width:([\d.]+)%", html) == ["20.0", "30.0"]
    assert "up to 8.0 GB" in html


def test_models_of_one_device_do_not_fill_another() -> None:
    html = machine([Device("cpu", "CPU", 10 * GB, 5 * GB)], [READY], 8 * GB)
    assert "0 MB our models" in html


def test_bar_never_leaves_its_frame() -> None:
    for device in (Device("cuda:0", "A", GB, 5 * GB), Device("cuda:0", "A", 0, 0)):
        widths = [float(each) for each in re.findall(r"width:([\d.]+)%", machine([device], [READY], 0))]
        assert sum(widths) <= 100


def test_gpu_that_cannot_be_used_says_why() -> None:
    html = machine([Device("cuda:0", "RTX", 0, 0, DRIVER)], [], GB)
    assert DRIVER in html
    assert "meter" not in html


def test_quantization_on_cuda_is_not_claimed() -> None:
    assert "Quantization on CUDA: not yet run" in machine([], [], GB)


# --- what is loaded -----------------------------------------------------------------------


def test_loaded_model_shows_its_memory_its_last_use_and_its_adapters_by_name() -> None:
    now = time.monotonic()
    html = loaded([replace(READY, used=now - 150, adapters=("a", "b"))], now, {"a": "Signs"})
    assert "ready · 2.0 GB on cuda · used 2 min ago · adapters Signs, b" in html
    assert 'data-act="unload"' in html


def test_model_shows_what_it_keeps_for_follow_ups_and_how_much_of_its_prompts_it_knew() -> None:
    html = loaded([replace(READY, kept=48_000_000, known=0.714)], 0.0, {})
    assert "48 MB kept for follow-ups · reused 71 % of its prompts" in html


def test_each_state_has_its_way_out() -> None:
    ways = {"loading": "cancel", "waiting": "cancel", "ready": "unload", "failed": "load"}
    for now, act in ways.items():
        assert f'data-act="{act}"' in loaded([replace(READY, status=now)], 0.0, {})
    assert "data-act" not in loaded([replace(READY, status="unloading")], 0.0, {})
    failed = loaded([replace(READY, status="failed")], 0.0, {})
    assert 'data-act="unload" aria-label="Dismiss: One">Dismiss<' in failed


def test_model_that_leaves_after_its_answers_says_so() -> None:
    leaving = replace(READY, status="unloading", detail=LEAVING, holders=1)
    assert "unloading when 1 answer has ended" in loaded([leaving], 0.0, {})
    assert "unloading when 1 answer has ended" in model_bar.chip(leaving)


def test_waiting_and_failed_models_say_why_in_a_sentence() -> None:
    for now in ("waiting", "failed"):
        assert "2 before it" in loaded([replace(READY, status=now, detail="2 before it")], 0.0, {})


def test_load_shows_a_bar_that_a_screen_reader_reads() -> None:
    state = replace(READY, status="loading", progress=Progress("loading", 43, 100))
    assert 'aria-valuenow="43"' in loaded([state], 0.0, {})
    assert "aria-valuenow" not in loaded([replace(state, progress=Progress())], 0.0, {})


def test_empty_machine_says_when_a_model_loads() -> None:
    assert "loads when it is first asked" in loaded([], 0.0, {})


# --- verdicts -------------------------------------------------------------------------------


def cells(manager: FakeManager) -> dict[str, dict[str, str]]:
    told = verdicts.column(catalog().values(), manager.models(), manager.fit)
    found: dict[str, dict[str, str]] = json.loads(told)["cells"]
    return found


def test_every_model_that_runs_here_has_its_verdict_and_small_ones_come_first() -> None:
    column = cells(FakeManager())
    assert set(column) == {each.id for each in model_bar.runnable(catalog())}
    small, large = column["smolvlm2-500m"], column["qwen2.5-vl-72b"]
    assert "Fits" in small["html"]
    assert "bf16 · 1.4 GB" in small["html"]
    assert "Too large" in large["html"]
    assert int(small["key"]) < int(large["key"])


def test_loaded_and_loading_rows_are_marked() -> None:
    column = cells(FakeManager(busy=True))
    assert column["pebble"]["state"] == "ready"
    assert "Loaded" in column["pebble"]["html"]
    assert ">Loading<" in column["smolvlm2-500m"]["html"]  # whatever its stage: the cell stays meanwhile
    assert ">Waiting<" in column["qwen2.5-vl-7b"]["html"]
    assert column["qwen3-vl-2b"]["state"] == ""


def test_row_names_the_state_and_not_the_stage_of_a_load() -> None:
    names = {"loading": "Loading", "waiting": "Waiting", "unloading": "Unloading"}
    for now, name in names.items():
        state = replace(READY, model="pebble", status=now, progress=Progress("planning"))
        told = verdicts.column([catalog()["pebble"]], [state], lambda id, precision: None)
        assert f">{name}<" in json.loads(told)["cells"]["pebble"]["html"]


def test_model_of_unknown_size_gets_no_verdict() -> None:
    told = verdicts.column([replace(catalog()["pebble"], parameters=0)], [], lambda id, precision: None)
    assert "Here" in told
    assert verdicts.estimates({"nf4": None}) == ""


def test_picker_of_precisions_says_what_each_takes() -> None:
    choices = Choices({"auto": fit("bf16"), "nf4": fit(), "fp32": fit("fp32", 5 * GB), "int8": None})
    words = {value: label for label, value in choices.of_precision}
    assert words["auto"] == "auto: bf16, 1.4 GB"
    assert words["nf4"] == "nf4: fits, 1.4 GB"
    assert words["fp32"] == "fp32: too large, 5.4 GB of 3.0 GB free"
    assert words["int8"] == "int8"
    assert list(words) == list(verdicts.PRECISIONS)


def test_estimate_lists_what_the_memory_is_for_and_says_when_it_is_rough() -> None:
    html = verdicts.estimates({"nf4": fit(), "fp32": fit("fp32", 5 * GB)})
    for words in ("1.0 GB", "100 MB", "200 MB", "5.4 GB", "too large", "3.0 GB are free"):
        assert words in html
    assert "Estimated" not in html
    assert "Estimated by its parameters" in verdicts.estimates({"nf4": fit(exact=False)})


# --- the chip ---------------------------------------------------------------------------------


def test_chip_says_before_loading_whether_the_model_fits() -> None:
    unloaded = ModelState("unloaded", "One is not loaded.", model="one", name="One")
    assert "not loaded</span>" not in model_bar.chip(unloaded, fit())
    assert " · fits in nf4, 1.4 GB" in model_bar.chip(unloaded, fit())
    assert 'data-act="load"' in model_bar.chip(unloaded, fit())
    large = model_bar.chip(unloaded, fit(weights=5 * GB))
    assert 'class="chip large"' in large
    assert "too large, 5.4 GB of 3.0 GB free" in large


def test_chip_of_a_load_shows_how_far_it_is_and_cancels() -> None:
    state = replace(READY, status="loading", progress=Progress("loading", 43, 100))
    assert "loading 43 %" in model_bar.chip(state)
    assert 'data-act="cancel"' in model_bar.chip(state)


def test_chip_names_the_adapter() -> None:
    assert "ready" in model_bar.chip(READY, adapter="Signs")
    assert "Signs" in model_bar.chip(READY, adapter="Signs")


# --- offers ---------------------------------------------------------------------------------


def offer(download: int = GB, speed: float = 12.0, draws: bool = False) -> Offer:
    return Offer(catalog()["smolvlm2-500m"], "bf16", download, speed, draws, chats=True)


def test_offer_says_what_it_does_its_size_speed_and_licence() -> None:
    html = offer_cards.offered([offer()], [])
    for words in ("SmolVLM2 500M", "chats", "1.0 GB to download", "up to 9 words/s", "Apache-2.0"):
        assert words in html
    assert "Download and chat" in html
    assert "chats and draws boxes" in offer_cards.offered([offer(draws=True)], [])
    assert "up to 9 words/min" in offer_cards.offered([offer(speed=0.2)], [])


def test_offer_on_disk_needs_no_download() -> None:
    html = offer_cards.offered([offer(download=0)], [])
    assert "on disk" in html
    assert "Download" not in html


def test_offer_on_its_way_shows_its_progress_and_can_be_cancelled() -> None:
    state = ModelState("loading", "", model="smolvlm2-500m", progress=Progress("downloading", 43, 100))
    html = offer_cards.offered([offer()], [state])
    assert "downloading 43 %" in html
    assert 'data-act="cancel"' in html


def test_offline_page_lists_what_is_on_disk() -> None:
    html = offer_cards.offline([catalog()["smolvlm2-500m"]])
    assert "cannot be reached" in html
    assert 'data-model="smolvlm2-500m"' in html
    assert "No other model is on disk" in offer_cards.offline([])


def test_added_folder_is_on_disk_until_it_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added = replace(catalog()["smolvlm2-500m"], id="mine", source=str(tmp_path), listed=False)
    monkeypatch.setattr(engine_listeners, "catalog", lambda: dict(catalog()) | {"mine": added})
    assert [row.id for row in engine_listeners._on_disk()] == ["mine"]
    tmp_path.rmdir()
    assert engine_listeners._on_disk() == []


# --- nothing acts ---------------------------------------------------------------------------


def test_nothing_that_somebody_named_becomes_markup() -> None:
    state = replace(READY, detail=HOSTILE, precision=HOSTILE, device=HOSTILE, model=HOSTILE, name=HOSTILE)
    state = replace(state, adapters=(HOSTILE,))
    row = replace(catalog()["smolvlm2-500m"], id=HOSTILE, name=HOSTILE, licence=HOSTILE)
    states = [replace(state, status=each) for each in ("ready", "waiting", "failed", "loading")]
    told = [
        machine([Device(HOSTILE, HOSTILE, GB, 0), Device("x", HOSTILE, 0, 0, HOSTILE)], states, GB),
        loaded(states, 0.0, {}),
        *(
            model_bar.chip(each, fit(HOSTILE), HOSTILE)
            for each in [*states, replace(state, status="unloaded")]
        ),
        offer_cards.offered([replace(offer(), checkpoint=row)], [replace(states[1], model=HOSTILE)]),
        offer_cards.offered([replace(offer(), checkpoint=row)], []),
        offer_cards.offline([row]),
        json.loads(verdicts.column([row], [state], lambda id, precision: None))["cells"][HOSTILE]["html"],
        json.loads(verdicts.column([row], [], lambda id, precision: fit(HOSTILE)))["cells"][HOSTILE]["html"],
        verdicts.estimates({HOSTILE: fit(HOSTILE)}),
    ]
    for html in told:
        assert "<script" not in html
        assert '""><' not in html


def test_adapters_are_offered_by_name_with_the_model_itself_first() -> None:
    from pathlib import Path

    made = Adapter("id-1", "Signs", "one", "", Path("x"))
    assert Choices(adapters=[made]).of_adapter == [("none", ""), ("Signs", "id-1")]
