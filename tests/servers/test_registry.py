"""Servers are added, named, and forgotten; their keys are kept apart and never shown."""

from __future__ import annotations

import stat

import pytest

from tests.servers.fault_server import KEY, Faults
from vlm_app import servers
from vlm_app.catalog import catalog
from vlm_app.errors import BadInput, ModelUnavailable, NotFound
from vlm_app.servers import family_for, registry
from vlm_app.settings import settings


def test_a_server_is_kept_without_its_key(faults: Faults) -> None:
    servers.add("My-GPU", f"{faults.url}/", "vllm", KEY)
    (kept,) = servers.servers()
    assert (kept.name, kept.url, kept.kind.name) == ("my-gpu", faults.url, "vllm")
    assert registry.key(kept) == KEY and servers.key_place(kept) == "kept here"
    folder = settings().data / "models"
    assert KEY not in (folder / "servers.json").read_text()
    assert stat.S_IMODE((folder / "server-keys.json").stat().st_mode) == 0o600


def test_a_removed_server_takes_its_key_and_its_models_along(faults: Faults) -> None:
    servers.add("gpu", faults.url, "vllm", KEY)
    servers.discover("gpu")
    assert "gpu/my-finetune" in catalog()
    servers.remove("gpu")
    assert servers.servers() == () and "gpu/my-finetune" not in catalog()
    assert KEY not in (settings().data / "models" / "server-keys.json").read_text()
    with pytest.raises(NotFound, match="no server 'gpu': added are none yet"):
        servers.find("gpu")


def test_the_environment_goes_before_the_key_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = servers.add("my-gpu", "http://127.0.0.1:1/v1", "vllm", "typed")
    monkeypatch.setenv("VLM_APP_KEY_MY_GPU", "from-outside")
    assert registry.key(server) == "from-outside" and servers.key_place(server) == "VLM_APP_KEY_MY_GPU"


def test_a_services_key_goes_to_the_service_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    theirs = servers.add("gpt", servers.KINDS["openai"].url, "openai")
    elsewhere = servers.add("copy", "https://elsewhere.invalid/v1", "openai")
    assert registry.key(theirs) == KEY
    assert registry.key(elsewhere) == "" and servers.key_place(elsewhere) == ""


def test_a_changed_address_keeps_the_models(faults: Faults) -> None:
    servers.add("gpu", faults.url, "vllm")
    servers.discover("gpu")
    moved = servers.add("gpu", "http://127.0.0.1:2/v1", "sglang")
    assert set(moved.models) == {"Qwen/Qwen3-VL-4B-Instruct", "my-finetune"} and moved.kind.name == "sglang"


def test_a_typed_key_does_not_go_to_a_new_address(faults: Faults) -> None:
    kept = servers.add("gpu", faults.url, "vllm", KEY)
    assert registry.key(servers.add("gpu", f"{faults.url}/", "sglang")) == KEY
    assert registry.key(servers.add("gpu", "http://elsewhere.invalid/v1")) == ""
    assert KEY not in (settings().data / "models" / "server-keys.json").read_text()
    assert registry.key(servers.add("gpu", kept.url, "vllm", "another")) == "another"


def test_a_changed_server_begins_anew(faults: Faults) -> None:
    servers.add("gpu", "http://127.0.0.1:2/v1")
    with pytest.raises(ModelUnavailable):
        servers.discover("gpu")
    assert servers.health("gpu").error
    servers.add("gpu", faults.url)
    assert servers.health("gpu") == servers.Health()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "An address looks like"),
        ("127.0.0.1:8000", "An address looks like"),
        ("ftp://127.0.0.1/v1", "An address looks like"),
        ("http://[::1", "An address looks like"),
        (f"http://me:{KEY}@127.0.0.1/v1", "holds no name, password or key"),
        (f"http://127.0.0.1/v1?key={KEY}", "holds no name, password or key"),
        (f"me:{KEY}@127.0.0.1", "An address looks like"),
    ],
)
def test_an_address_that_cannot_be_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence) as refused:
        servers.add("gpu", url)
    assert servers.servers() == ()
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "x" * 41])
def test_a_name_is_one_plain_word(name: str) -> None:
    with pytest.raises(BadInput, match="letters, digits and hyphens"):
        servers.add(name, "http://127.0.0.1:1/v1")


def test_a_key_with_a_line_break_is_refused() -> None:
    with pytest.raises(BadInput, match="This is not a key"):
        servers.add("gpu", "http://127.0.0.1:1/v1", "vllm", "a\nb")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl"),
        ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "qwen2_5_vl"),
        ("qwen2.5vl:7b", "qwen2_5_vl"),
        ("qwen3-vl:4b-instruct-q4_K_M", "qwen3_vl"),
        ("unsloth/Qwen3-VL-8B-Instruct-GGUF:Q4_K_M", "qwen3_vl"),
        ("OpenGVLab/InternVL3-8B", "internvl"),
        ("deepseek-ai/deepseek-vl2-small", "deepseek_vl2"),
        ("deepseek-ai/DeepSeek-OCR-2", "deepseek_ocr2"),
        ("allenai/Molmo-7B-D-0924", "molmo"),
        ("gemma3:4b", "gemma3"),
        ("ggml-org/gemma-3-4b-it-GGUF", "gemma3"),
        ("llava-hf/llava-v1.6-mistral-7b-hf", "llava_next"),
        ("llava:13b", "llava"),
        ("gpt-4o-mini", "openai"),
        ("claude-sonnet-4-5", "claude"),
        ("models/gemini-2.5-flash", "gemini"),
        ("openbmb/MiniCPM-V-4_5", "minicpm_v"),
        ("zai-org/GLM-4.1V-9B-Thinking", "glm4v"),
        ("llama3.2-vision:11b", "mllama"),
        ("my-finetune", "openai"),
    ],
)
def test_the_family_is_guessed_from_the_name(model: str, family: str) -> None:
    assert family_for(model) == family
