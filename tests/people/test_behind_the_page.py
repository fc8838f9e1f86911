"""What a role may not do is refused behind the page: the listeners and routes are called without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError as Refused

from tests.browser.conftest import Server, served
from tests.people.calling import Caller
from vlm_app.people import RULES, Act, Role
from vlm_app.settings import ROOT
from vlm_app.store.persons import Persons

PASSWORD = "correct horse"
OTHER = "qwen3-vl-4b"  # neither loaded nor offered
SCENE = ROOT / "assets" / "examples" / "shapes.png"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app where everybody is a visitor, as at a public address, but for anna and ben."""
    data = tmp_path_factory.mktemp("people") / "data"
    for name, role in (("anna", Role.ADMIN), ("ben", Role.MEMBER)):
        Persons(data).add(name, role, PASSWORD)
    given = {"EVERYONE": "visitor", "PROXY_HEADER": "X-Forwarded-User", "TRUSTED_PROXIES": "127.0.0.1"}
    variables = {f"VLM_APP_{name}": value for name, value in given.items()}
    with served(data, "-m", "tests.browser.fake_app", "PORT", "0", "busy", **variables) as app:
        yield app


@pytest.fixture(scope="module")
def visitor(server: Server) -> Iterator[Caller]:
    with closing(Caller(server.url)) as caller:
        yield caller


@pytest.fixture(scope="module")
def member(server: Server) -> Iterator[Caller]:
    with closing(Caller(server.url)) as caller:
        caller.sign_in("ben", PASSWORD)
        yield caller


@pytest.fixture(scope="module")
def admin(server: Server) -> Iterator[Caller]:
    with closing(Caller(server.url)) as caller:
        caller.sign_in("anna", PASSWORD)
        yield caller


def refusal(act: Act, role: Role = Role.VISITOR) -> str:
    """The beginning of the sentence."""
    rule = RULES[act]
    whom = "admins" if rule.least is Role.ADMIN else f"{rule.least}s and admins"
    return f"{rule.what} is for {whom} here, and you are a {role}"


def loaded(caller: Caller) -> set[str]:
    """The models that are in memory or on their way there, as the page of models says."""
    return set(re.findall(r'data-model=\\"([^"\\]+)\\"', caller.press("models-tab", "select")))


REMOTE = {"server-name": "mine", "server-url": "http://127.0.0.1:9/v1", "server-key": ""}
PRESSES: list[tuple[Act, str, str, dict[str, Any]]] = [
    (Act.UNLOAD, "engine-bridge", "click", {"act": "unload", "model": "florence-2-base"}),
    (Act.UNLOAD, "engine-bridge", "click", {"act": "cancel", "model": "smolvlm2-500m"}),
    (Act.LOAD, "engine-bridge", "click", {"act": "load", "model": OTHER}),
    (Act.LOAD, "engine-bridge", "click", {"act": "load", "model": "pebble", "precision": "nf4"}),
    (Act.LOAD, "engine-bridge", "click", {"act": "offer", "model": OTHER}),
    (Act.MODELS, "model-bridge", "click", {"act": "add", "model": "org/other"}),
    (Act.MODELS, "hub-search", "click", {}),
    (Act.MODELS, "hub-add", "click", {}),
    (Act.ACCOUNT, "hub-sign-in", "click", {}),
    (Act.ACCOUNT, "sign-out", "click", {}),
    (Act.SERVERS, "add-server", "click", {}),
    (Act.SERVERS, "server-bridge", "click", {"act": "look", "server": "mine"}),
    (Act.SERVERS, "server-bridge", "click", {"act": "family", "server": "mine", "model": "a", "family": "b"}),
    (Act.SERVERS, "server-bridge", "click", {"act": "remove", "server": "mine"}),
    (Act.TRAIN, "runs-bridge", "click", {"act": "start", "form": {}}),
    (Act.TRAIN, "runs-bridge", "click", {"act": "resume", "run": "any"}),
    (Act.TRAIN, "runs-bridge", "submit", {"act": "measure", "form": {}, "number": 1}),
    (Act.MERGE, "runs-bridge", "submit", {"act": "merge", "run": "any"}),
    (Act.PUSH, "runs-bridge", "submit", {"act": "push", "run": "any", "repo": "a/b", "token": "hf_x"}),
    (Act.LOAD, "tune-bridge", "submit", {"act": "teach", "example": "any", "model": OTHER}),
]


@pytest.mark.parametrize(
    ("act", "element", "event", "data"),
    PRESSES,
    ids=[f"{element} {data.get('act', event)}" for _, element, event, data in PRESSES],
)
def test_a_visitor_who_calls_a_listener_directly_is_refused_with_a_sentence(
    visitor: Caller, act: Act, element: str, event: str, data: dict[str, Any]
) -> None:
    assert refusal(act) in visitor.press(element, event, values=REMOTE, **data)


def test_nothing_of_what_was_refused_happened(visitor: Caller, admin: Caller) -> None:
    assert loaded(admin) == {"florence-2-base", "smolvlm2-500m", "qwen2.5-vl-7b", "pebble"}


def test_a_visitor_asks_what_is_loaded_and_nothing_else(visitor: Caller) -> None:
    asked = {"message": {"text": "hello you", "files": []}, "chat": ""}
    assert "You said: hello you" in visitor.press("message", "submit", values={**asked, "model": "pebble"})
    florence = {**asked, "model": "florence-2-base", "task": "caption"}
    assert refusal(Act.LOAD) not in visitor.press("message", "submit", values=florence)
    refused = visitor.press("message", "submit", values={**asked, "model": OTHER})
    assert refusal(Act.LOAD) in refused and "You said" not in refused
    precise = {**asked, "model": "pebble", "precision": "nf4"}
    assert refusal(Act.LOAD) in visitor.press("message", "submit", values=precise)


def test_a_visitor_cannot_have_a_model_loaded_beside_or_by_asking_again(visitor: Caller) -> None:
    said = visitor.press(
        "message", "submit", values={"message": {"text": "again", "files": []}, "chat": "", "model": "pebble"}
    )
    chat = re.findall(r"/chats/([^/]+)/export", said)[0]
    for data in ({"act": "switch", "model": OTHER}, {"act": "again", "model": OTHER}):
        assert refusal(Act.LOAD) in visitor.press("bridge", "submit", values={"chat": chat}, **data)
    chosen = {"chat": chat, "model": OTHER}
    for data in ({"act": "regenerate"}, {"act": "example", "name": "shapes"}):
        assert refusal(Act.LOAD) in visitor.press("bridge", "submit", values=chosen, **data)


def test_other_programs_are_refused_the_same(server: Server) -> None:
    client = Client(server.url, verbose=False)
    with pytest.raises(Refused, match=refusal(Act.LOAD)):
        client.predict(handle_file(SCENE), "json", "caption", model=OTHER, api_name="/export")


def test_an_adapter_is_brought_by_members_only(visitor: Caller, member: Caller) -> None:
    refused = visitor.http.post("/adapter", params={"name": "mine"}, content=b"PK")
    assert refused.status_code == 403 and refusal(Act.BRING) in refused.text
    heard = member.http.post("/adapter", params={"name": "mine"}, content=b"PK")
    assert heard.status_code == 400  # it is no zip


def test_a_member_may_more_than_a_visitor_and_less_than_an_admin(member: Caller) -> None:
    unload = {"act": "unload", "model": "florence-2-base"}
    assert refusal(Act.UNLOAD, Role.MEMBER) in member.press("engine-bridge", "click", **unload)
    push = {"act": "push", "run": "any", "repo": "a/b", "token": "hf_x"}
    assert "is for members" not in member.press("runs-bridge", "submit", **push)


def test_an_admin_is_heard(admin: Caller) -> None:
    assert "is for admins" not in admin.press("engine-bridge", "click", act="load", model=OTHER)
    assert OTHER in loaded(admin)
    assert "is for admins" not in admin.press("engine-bridge", "click", act="unload", model=OTHER)
    added = admin.press("add-server", "click", values={**REMOTE, "server-kind": "other"})
    assert "is for admins" not in added and "mine" in added
    assert "is for admins" not in admin.press("server-bridge", "click", act="remove", server="mine")


def test_the_server_believes_its_proxy_by_where_it_is_and_not_by_what_it_sends(visitor: Caller) -> None:
    """Its own server would take the sender's address from the proxy's header, and forget the proxy's."""
    sent = {"x-forwarded-for": "203.0.113.9", "x-forwarded-user": "carl"}
    assert "signed in as <strong>carl</strong>, member" in visitor.http.get("/sign-in", headers=sent).text
