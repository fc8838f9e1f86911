"""Servers on the page: what is said of each, and that nothing that one of them says can act there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
import pytest

from vlm_app import servers
from vlm_app.catalog import catalog
from vlm_app.errors import BadInput
from vlm_app.servers import KINDS, Health, breaker, registry
from vlm_app.types import Answer, Checkpoint, Runs, Seen, Task
from vlm_app.ui import beside, model_bar, server_words
from vlm_app.ui.models_page import ADDED, ANY, Filters
from vlm_app.ui.models_table import table, where
from vlm_app.ui.pieces import Pieces
from vlm_app.ui.server_words import standing
from vlm_app.ui.servers_list import section
from vlm_app.ui.servers_page import about, pick
from vlm_app.ui.settings_panel import Choices, SettingsPanel
from vlm_app.ui.verdicts import column

KEY = "sk-SecretOfTheseTests"
HOSTILE = "\"><img src=x onerror=alert(1)>'<script>"
LOCAL = "http://127.0.0.1:1/v1"


@pytest.fixture
def added() -> Iterator[Checkpoint]:
    """A model of a server that was added; the server has not been asked."""
    servers.add("gpu", LOCAL, "vllm", KEY)
    registry.know("gpu", {"Qwen/Qwen3-VL-4B-Instruct": "qwen3_vl", HOSTILE: "openai"})
    yield catalog()["gpu/Qwen/Qwen3-VL-4B-Instruct"]
    breaker.forget("gpu")


def listed() -> str:
    return section(servers.servers())


def test_state_of_a_server_is_told_in_words() -> None:
    now = time.monotonic()
    assert standing(Health()).words == "not asked yet"
    well = standing(Health(latency=0.2149, at=now))
    assert (well.kind, well.words, well.latency) == ("ready", "answers", "0.21 s")
    ill = standing(Health(failures=1, error="No.", at=now))
    assert (ill.kind, ill.words, ill.error) == ("failed", "failed", "No.")
    rests = standing(Health(failures=3, error="No.", at=now, rests_until=now + 60))
    assert rests.words.startswith("resting until ") and rests.words.count(":") == 2
    assert standing(Health(), asking=True).words == "looking for its models"
    assert server_words.seconds(12.34) == "12 s"


def test_page_begins_without_servers() -> None:
    assert "No server was added" in section([])


def test_key_is_never_part_of_the_page(added: Checkpoint) -> None:
    html = listed() + model_bar.server_chip(added) + table([added], {added.id}) + about(KINDS["vllm"])
    assert "key kept here" in html
    assert KEY not in html


def test_key_names_the_variable_that_it_comes_from(
    added: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_APP_KEY_GPU", KEY)
    assert "key from VLM_APP_KEY_GPU" in listed()
    assert KEY not in listed()
    servers.add("free", LOCAL)
    assert "no key" in listed()


def test_what_a_server_says_cannot_act_on_the_page(added: Checkpoint) -> None:
    breaker.failed("gpu", f"The server said {HOSTILE}", broken=True)
    rows = [row for row in catalog().values() if row.server]
    cells = json.loads(column(rows, [], lambda model, precision: None))["cells"].values()
    chips = (model_bar.server_chip(row) + model_bar.knows(row) for row in rows)
    pages = (listed(), table(rows, {row.id for row in rows}), *chips, *(cell["html"] for cell in cells))
    assert len(rows) == 2
    for html in pages:
        assert "<img" not in html and "<script" not in html


def test_family_of_each_model_can_be_corrected(added: Checkpoint) -> None:
    html = listed()
    assert 'data-family="Qwen/Qwen3-VL-4B-Instruct"' in html
    assert "<option selected>qwen3_vl</option>" in html
    assert html.count("<option selected>") == 2


def test_removing_is_asked_twice(added: Checkpoint) -> None:
    assert "Forget its models and its key?" in listed()
    assert listed().index("server-ask") < listed().index("server-remove")


def test_row_of_a_server_says_where_it_runs(added: Checkpoint) -> None:
    html = table([added], {added.id})
    assert where(added) == "On gpu"
    assert "on a server · not asked yet" in html
    assert 'data-act="chat-with"' in html
    assert "unlisted" not in html
    assert "huggingface.co" not in html
    assert "On the server &#x27;gpu&#x27;; it speaks like qwen3_vl." in html


def test_row_that_needs_a_server_leads_to_where_one_is_added() -> None:
    row = next(each for each in catalog().values() if each.runs is Runs.SERVER)
    assert table([row], {row.id}).count('data-act="to-servers"') == 2


def test_verdict_of_a_servers_row_follows_its_server(added: Checkpoint) -> None:
    breaker.answered("gpu", 0.5)
    told = json.loads(column([added], [], lambda model, precision: None))["cells"][added.id]
    assert "on a server · answers" in told["html"] and told["state"] == "ready"


def test_models_of_servers_can_be_picked_and_asked_again(added: Checkpoint) -> None:
    assert added in model_bar.runnable(catalog())
    choices = beside.models([added], Task.DETECT, 1, ready=(), room=1)
    assert [each.model for each in choices] == [added.id]
    assert "<h4>On a server</h4>" in beside.menu(choices)


def test_chip_shows_state_and_latency_and_no_memory(added: Checkpoint) -> None:
    breaker.answered("gpu", 0.214)
    chip = model_bar.server_chip(added)
    assert 'class="chip ready"' in chip and "answers" in chip and "0.21 s" in chip
    assert "Memory" not in chip and 'data-act="load"' not in chip


def test_server_has_a_precision_of_its_own(added: Checkpoint) -> None:
    async def made() -> SettingsPanel:
        with gr.Blocks():
            return SettingsPanel.build(added)

    panel = asyncio.run(made())
    read = panel.read(added.id, "chat", ("", 0, 1, 512, None, 0, "nf4", "an-adapter"))
    assert (read.precision, read.adapter) == ("auto", None)
    offered = panel.offer(added, Choices(remote=True))
    assert offered[panel.precision]["visible"] is False
    assert offered[panel.adapter]["visible"] is False
    assert panel.offer(added, Choices())[panel.precision]["visible"] is True


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        (LOCAL, "vllm", ""),
        ("http://192.168.1.5:8000/v1", "vllm", "Images go to 192.168.1.5."),
        (KINDS["openai"].url, "openai", "Images go to api.openai.com."),
    ],
)
def test_it_is_said_where_images_go(added: Checkpoint, url: str, kind: str, said: str) -> None:
    servers.add("gpu", url, kind)
    assert server_words.leaves(added) == said
    assert (f'<span class="goes">{said}</span>' in model_bar.knows(added)) is bool(said)
    assert server_words.leaves(replace(added, server="gone")) == ""
    assert server_words.leaves(catalog()["pebble"]) == ""


def test_filter_tells_servers_rows_from_those_that_need_one(added: Checkpoint) -> None:
    async def made() -> Filters:
        with gr.Blocks():
            return Filters.build([added])

    filters = asyncio.run(made())
    needs = next(each for each in catalog().values() if each.runs is Runs.SERVER)
    chosen = [
        filters.choose([added, needs], ["", ANY, ANY, ANY, runs, False]) for runs in (ADDED[1], "server")
    ]
    assert chosen == [[added.id], [needs.id]]


def test_note_of_a_servers_answer_is_a_fact_and_no_warning(added: Checkpoint) -> None:
    seen = Seen((640, 480), 1, note="As it was sent.")
    pieces = Pieces([], catalog(), {})
    answer = Answer("text", seen=seen, model=added.id)
    assert pieces.warning(answer, last=True) == ""
    assert "<dt>Note</dt><dd>As it was sent.</dd>" in pieces.signature(answer)
    assert "visual token" not in pieces.signature(answer)


def test_every_kind_says_how_it_is_started_and_brings_its_address() -> None:
    for kind in KINDS.values():
        assert kind.start.split(" ")[0] in about(kind)
        assert ("A service" in about(kind)) is kind.hosted
        assert json.dumps(kind.url) in pick()
    with pytest.raises(BadInput):
        servers.add("llama.cpp", LOCAL)
    assert '"llama-cpp"' in pick()
