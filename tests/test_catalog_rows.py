"""The project's own rows: who is there, and that each can be asked as it says."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from vlm_app import families
from vlm_app.catalog import SMALLEST, catalog, choose, memory
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Runs, Task

ROWS = dict(catalog())
# What a visitor may look for, by the name of a row.
EXPECTED = """
    Pebble; LLaVA-1.5 7B; LLaVA-1.5 13B; LLaVA-1.6 Mistral 7B; LLaVA-1.6 Hermes 34B; LLaVA-OneVision;
    DeepSeek-VL 1.3B base; DeepSeek-VL 1.3B chat; DeepSeek-VL 7B base; DeepSeek-VL 7B chat;
    DeepSeek-VL2 tiny; DeepSeek-VL2 small; DeepSeek-VL2 base; moondream2; CogVLM base; CogVLM chat;
    Fuyu 8B; KOSMOS-2; KOSMOS-2.5; Qwen-VL; Qwen-VL-Chat; Qwen2-VL; Qwen2.5-VL 3B; Qwen2.5-VL 7B;
    Qwen2.5-VL 72B; Qwen3-VL; Yi-VL 6B; Yi-VL 34B; InternVL 1.5; InternVL2.5; InternVL3; Idefics2;
    Idefics3; IDEFICS 9B; SmolVLM2 256M; SmolVLM2 500M; SmolVLM2 2.2B; PaliGemma 3B; PaliGemma 2;
    Florence-2 base; Florence-2 large; BLIP-2; InstructBLIP; MiniGPT-4; Pixtral 12B; Molmo 7B; Molmo 72B;
    Molmo2; Llama 3.2 11B; Llama 3.2 90B; NVLM-D 72B; Gemma 3; GLM-4.1V; GLM-4.5V; GOT-OCR 2.0;
    PaddleOCR-VL; DeepSeek-OCR 2; Granite-Docling; LFM2-VL; Ovis2; Ferret; Shikra; Otter; Llama3-V;
    GPT-4V; GPT-4o; Claude; Gemini
"""
OURS = ("pebble",)


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.casefold())


@pytest.mark.parametrize("name", [name.strip() for name in EXPECTED.split(";")])
def test_a_model_that_is_looked_for_is_there(name: str) -> None:
    assert any(plain(row.name).startswith(plain(name)) for row in ROWS.values())


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_row_can_be_asked_as_it_says(row: Checkpoint) -> None:
    assert row.family in families.names()
    family = families.get(row.family)
    assert row.tasks and row.tasks <= family.tasks, row.tasks - family.tasks
    if row.runs is Runs.IN_PROCESS:
        assert family.native
    if row.runs is Runs.PACKAGE:
        assert family.package == row.source
    if row.runs is Runs.SERVER:
        assert family.servers
    if row.runs is Runs.PARSER_ONLY:
        assert family.native or not family.servers  # a class, but not for these files
    assert not (row.remote_code and row.runs is Runs.IN_PROCESS)


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_row_names_its_sources_and_holds_no_commit(row: Checkpoint) -> None:
    assert row.sources and row.knows.endswith(".") and row.listed
    assert all(source.startswith("https://") for source in row.sources) or row.id in OURS
    assert not row.revision and not row.checked
    if row.runs not in (Runs.HOSTED, Runs.PACKAGE) and row.id not in OURS:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", row.source)
    assert (row.permissive is None) == (not row.licence)
    assert not row.gated or row.gated == f"https://huggingface.co/{row.source}"


def test_repositories_stand_once_and_the_gated_ones_say_so() -> None:
    sources = [row.source for row in ROWS.values()]
    assert len(set(sources)) == len(sources)
    for row in ROWS.values():
        if row.family in ("mllama", "gemma3", "paligemma"):
            assert row.gated, row.id


def test_florence_comes_with_safetensors() -> None:
    florence = [row for row in ROWS.values() if row.family == "florence2"]
    assert len(florence) >= 2 and all(row.source.startswith("florence-community/") for row in florence)


def test_files_and_comments_stay_small() -> None:
    for path in settings().models.glob("*.toml"):
        assert len(path.read_text().splitlines()) <= 300, path.name


def test_files_of_transformers_that_are_named_as_a_source_hold_the_repository() -> None:
    (package,) = find_spec("transformers").submodule_search_locations
    begin = "https://github.com/huggingface/transformers/blob/main/src/transformers/"
    for row in ROWS.values():
        for source in row.sources:
            if (
                source.startswith(begin)
                and (path := Path(package) / source.removeprefix(begin)).suffix == ".py"
            ):
                assert row.source in path.read_text(encoding="utf-8"), row.id


# --- choosing -----------------------------------------------------------------------------


def row(id: str, **facts: object) -> Checkpoint:
    known = {"name": id, "family": "pebble", "source": f"some/{id}", "tasks": frozenset({Task.CHAT})}
    return Checkpoint(id=id, **(known | facts))


SMALL = row("small", parameters=1_000_000_000, permissive=True, languages=("en",), backbone="Qwen2")
LARGE = row("large", parameters=70_000_000_000, permissive=False, languages=("en", "zh"))
UNKNOWN = row("unknown", tasks=frozenset({Task.OCR}))
HOSTED = row("hosted", runs=Runs.HOSTED)
READ = row("read", parameters=1_000, runs=Runs.PARSER_ONLY)
ALL = [SMALL, LARGE, UNKNOWN, HOSTED, READ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ALL),
        ({"task": Task.OCR}, [UNKNOWN]),
        ({"memory": 8 * 10**9}, [SMALL, HOSTED]),  # what loads nowhere, or of unknown size, fits nowhere
        ({"memory": 40 * 10**9}, [SMALL, LARGE, HOSTED]),
        ({"permissive": True}, [SMALL]),
        ({"permissive": False}, [LARGE]),
        ({"language": "ZH"}, [LARGE]),
        ({"family": "llava"}, []),
        ({"text": "qwen2 SMALL"}, [SMALL]),
        ({"text": "qwen2 large"}, []),
        ({"language": "en", "memory": 1}, []),
    ],
)
def test_rows_are_chosen_by_what_they_say(wanted: dict[str, object], found: list[Checkpoint]) -> None:
    assert choose(ALL, **wanted) == found


def test_memory_is_parameters_times_bytes() -> None:
    assert memory(SMALL, "bf16") == 2_000_000_000 and memory(SMALL, "int8") == 1_000_000_000
    assert memory(SMALL) == memory(SMALL, SMALLEST) == 515_875_000
    assert memory(UNKNOWN) == 0
