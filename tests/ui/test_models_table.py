"""The table of models says what is known of each, and nothing that somebody wrote can act in it."""

from __future__ import annotations

import asyncio
import re

import gradio as gr
import pytest
from starlette.requests import Request

from vlm_app.hub import Found
from vlm_app.types import Checkpoint, Runs, Task
from vlm_app.ui.hub_results import account, added, results
from vlm_app.ui.models_listeners import is_at_home
from vlm_app.ui.models_page import ANY, Filters, languages
from vlm_app.ui.models_table import counted, parameters, table, where


def row(id: str = "one", **facts: object) -> Checkpoint:
    given = {"name": "One", "family": "smolvlm", "source": "org/one", "tasks": frozenset({Task.CHAT})}
    return Checkpoint(id=id, **(given | facts))


def html(**facts: object) -> str:
    return table([row(**facts)], {"one"})


def filters() -> Filters:
    async def made() -> Filters:
        with gr.Blocks():
            return Filters.build(ROWS)

    return asyncio.run(made())


ROWS = [
    row("small", name="Small", parameters=2_000_000_000, permissive=True, languages=("en",)),
    row("large", name="Large", parameters=72_000_000_000, languages=("en", "zh"), runs=Runs.SERVER),
    row("reader", name="Reader", parameters=1_000_000_000, tasks=frozenset({Task.OCR}), permissive=False),
    row("unknown", name="Unknown"),
]


def test_size_is_told_in_millions_and_billions() -> None:
    assert [parameters(each) for each in (8_720_128, 500_000_000, 7_060_000_000, 72_000_000_000, 0)] == [
        "8.7 M",
        "500 M",
        "7.1 B",
        "72 B",
        "",
    ]


def test_model_that_runs_here_is_one_click_from_a_chat_and_others_say_why_not() -> None:
    assert 'data-act="chat-with"' in html()
    for runs, said in {
        Runs.SERVER: "Needs a server: vLLM",
        Runs.HOSTED: "A service",
        Runs.PARSER_ONLY: "Parser only",
        Runs.CONTRASTIVE: "For search",
    }.items():
        assert said in html(runs=runs)
        assert "chat-with" not in html(runs=runs)
    assert where(row(family="nobody", runs=Runs.SERVER)) == "Needs a server"


def test_unknown_facts_are_said_to_be_unknown() -> None:
    assert html().count("not stated") == 2
    assert "not checked yet" in html()
    assert "not checked yet" not in html(checked="2026-10-01")
    assert "checked on 2026-10-01" in html(checked="2026-10-01")


def test_states_are_shown_as_badges() -> None:
    assert '<span class="badge">unlisted</span>' in html(listed=False)
    assert '<span class="badge">base model</span>' in html(chat=False)
    assert "badge" not in html()


def test_gated_model_names_the_way_in() -> None:
    gated = html(gated="https://huggingface.co/org/one")
    assert "accept the licence at" in gated
    assert 'href="https://huggingface.co/org/one"' in gated
    assert 'data-act="to-sign-in"' in gated


def test_only_web_addresses_become_links() -> None:
    said = html(sources=("https://arxiv.org/abs/1", "javascript:alert(1)", "pebble/README.md"))
    assert set(re.findall(r'href="([^"]+)"', said)) == {
        "https://arxiv.org/abs/1",
        "https://huggingface.co/org/one",
    }


def test_folder_is_named_without_its_path() -> None:
    assert "/home/me" not in html(source="/home/me/secret/weights")
    assert "folder weights" in html(source="/home/me/secret/weights")


def test_nothing_that_a_row_holds_becomes_markup() -> None:
    hostile = '"><script>x</script>'
    texts = dict.fromkeys(("name", "licence", "knows", "encoder", "resolution", "gated"), hostile)
    said = table([row(hostile, **texts, languages=(hostile,), sources=(hostile,))], {hostile})
    assert "<script" not in said
    assert '""><' not in said


def test_rows_that_do_not_fit_are_hidden_not_gone() -> None:
    said = table(ROWS, {"small"})
    assert said.count("<tbody") == 4
    assert len(re.findall(r"<tbody[^>]* hidden>", said)) == 3


@pytest.mark.parametrize(
    ("changed", "fitting"),
    [
        ({}, ["small", "large", "reader", "unknown"]),
        ({0: "SMALL"}, ["small"]),
        ({1: "ocr"}, ["reader"]),
        ({2: 8}, ["small", "reader"]),
        ({3: "zh"}, ["large"]),
        ({4: "server"}, ["large"]),
        ({5: True}, ["small"]),
        ({0: "nothing like it"}, []),
    ],
)
def test_each_filter_leaves_what_fits(changed: dict[int, object], fitting: list[str]) -> None:
    built = filters()
    values = [changed.get(at, value) for at, value in enumerate(built.cleared())]
    assert built.choose(ROWS, values) == fitting


def test_filters_start_with_everything() -> None:
    assert filters().cleared() == ["", ANY, ANY, ANY, ANY, False]
    assert languages(ROWS) == [("Chinese", "zh"), ("English", "en")]


def test_count_says_how_many_are_left() -> None:
    assert counted(4, ROWS) == "4 models, 3 of them run here"
    assert counted(2, ROWS) == "2 of 4 models"
    assert "None of the 4" in counted(0, ROWS)


def test_search_offers_only_what_can_be_added() -> None:
    known = Found("org/a", 1200, licence="mit", family="smolvlm")
    said = results("ocr", [known, Found("org/b"), Found("org/c", family="smolvlm", listed=True)])
    assert said.count('data-act="add-found"') == 1
    assert "1,200 downloads · mit" in said
    assert "architecture not known here" in said
    assert "in the table" in said
    assert "&lt;b&gt;" in results("<b>", [])


def test_account_names_who_is_signed_in() -> None:
    assert "Nobody" in account("")
    assert "&lt;me&gt;" in account("<me>")
    assert "unlisted" in added("One")


def test_only_whoever_sits_at_the_computer_may_give_a_token() -> None:
    def request(address: str, **headers: str) -> gr.Request:
        given = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
        return gr.Request(Request({"type": "http", "client": (address, 1), "headers": given}))

    assert is_at_home(request("127.0.0.1"))
    assert not is_at_home(request("10.0.0.7"))
    for left in ({"x-forwarded-for": "10.0.0.7"}, {"via": "1.1 proxy"}, {"host": "evil.example"}):
        assert not is_at_home(request("127.0.0.1", **left))
