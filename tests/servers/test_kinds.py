"""What is known of servers is complete, possible, and on the page of docs."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from urllib.parse import urlsplit

import pytest

from tests.servers.document import DOCUMENT, document
from vlm_app.servers.kinds import KINDS, Kind

WANTED = "vllm sglang lmdeploy tgi llama.cpp ollama transformers openai anthropic gemini other".split()
KNOWN = [kind for kind in KINDS.values() if kind.name != "other"]
OURS = {"messages", "model", "stream", "stream_options", "seed", "max_tokens", "max_completion_tokens"}

each = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_known = pytest.mark.parametrize("kind", KNOWN, ids=[kind.name for kind in KNOWN])


def test_the_page_of_docs_is_current() -> None:
    assert DOCUMENT.read_text() == document(), "run `python -m tests.servers.document`"


def test_every_kind_is_there_under_its_own_name() -> None:
    assert list(KINDS) == WANTED
    assert all(name == kind.name for name, kind in KINDS.items())
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


def test_of_another_server_nothing_is_claimed() -> None:
    other = KINDS["other"]
    plain = Kind(name="", title="", url="")
    said = {"name", "title", "notes", "usage"}
    assert all(
        getattr(other, one.name) == getattr(plain, one.name) for one in fields(Kind) if one.name not in said
    )


@each_known
def test_an_address_is_one_that_a_client_can_use(kind: Kind) -> None:
    url = urlsplit(kind.url)
    assert url.path.endswith(("/v1", "/openai")) and not url.query and not url.fragment
    if kind.hosted:
        assert url.scheme == "https" and url.port is None
    else:
        assert url.scheme == "http" and url.hostname == "localhost" and url.port is not None


@each_known
def test_every_kind_names_its_sources(kind: Kind) -> None:
    assert kind.sources and len(set(kind.sources)) == len(kind.sources)
    assert all(urlsplit(source).scheme == "https" and urlsplit(source).path for source in kind.sources)


@each_known
def test_a_server_has_a_line_that_starts_it_and_a_service_has_a_key(kind: Kind) -> None:
    assert bool(kind.start) is not kind.hosted
    assert "\n" not in kind.start
    assert kind.key or not kind.hosted
    # A name that other programs use too would send their key to this server.
    assert re.fullmatch(r"(?:[A-Z]+_)+KEY", kind.key or "A_KEY") and kind.key != "API_KEY"


@each
def test_nothing_contradicts_itself(kind: Kind) -> None:
    assert kind.limit in {"max_tokens", "max_completion_tokens"}
    assert kind.formats and set(kind.formats) <= {"png", "jpeg", "webp"}
    limits = (kind.max_images, kind.max_side, kind.max_image_bytes, kind.max_request_bytes)
    assert all(limit is None or limit > 0 for limit in limits)
    if kind.max_image_bytes and kind.max_request_bytes:
        assert kind.max_image_bytes <= kind.max_request_bytes
    assert kind.keeps_tokens or not kind.extra, "fields that keep special tokens where they are not kept"
    assert not kind.hosted or not kind.adapters, "a service has only its own models"


@each
def test_the_fields_can_be_sent_and_leave_the_others_alone(kind: Kind) -> None:
    for extra in (kind.extra, kind.resumes or {}):
        assert json.loads(json.dumps(dict(extra))) == dict(extra)
        assert not OURS & set(extra)


@each
def test_what_is_said_is_in_sentences(kind: Kind) -> None:
    for sentence in (*kind.notes, *([kind.adapters] if kind.adapters else [])):
        assert (
            sentence.endswith(".") and "|" not in sentence and "\n" not in sentence and "  " not in sentence
        )
