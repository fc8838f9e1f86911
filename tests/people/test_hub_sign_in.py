"""Signing in with an account of the Hub, with a provider of the test's own on the loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from starlette.testclient import TestClient

from tests.people.app import AFAR, App, who
from vlm_app.settings import settings

HOST = "me-app.hf.space"
SECRET = "the app's secret"


class Provider(BaseHTTPRequestHandler):
    """Gives a token for the code 'good' and the right verifier, and a name for that token."""

    name: Any = "Anna"
    challenge = ""
    asked: list[str] = []  # noqa: RUF012 - one provider for each test

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        basic = base64.b64encode(f"app:{SECRET}".encode()).decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        right = (
            self.headers["authorization"] == f"Basic {basic}"
            and form["code"] == "good"
            and form["redirect_uri"] == f"https://{HOST}/login/callback"
            and base64.urlsafe_b64encode(digest).decode().rstrip("=") == Provider.challenge
        )
        self._answer(200 if right else 400, {"access_token": "a token"} if right else {"error": "no"})

    def do_GET(self) -> None:
        right = self.headers["authorization"] == "Bearer a token"
        self._answer(200 if right else 401, {"preferred_username": Provider.name, "email": "a@b.c"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        Provider.asked.append(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An app on a Space whose author is anna."""
    Provider.name, Provider.asked = "Anna", []
    server = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    here = {
        "SPACE_ID": "anna/app", "SPACE_HOST": HOST, "SPACE_AUTHOR_NAME": "anna", "OAUTH_CLIENT_ID": "app",
        "OAUTH_CLIENT_SECRET": SECRET, "OPENID_PROVIDER_URL": f"http://127.0.0.1:{server.server_port}",
    }  # fmt: skip
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield App(tmp_path)
    monkeypatch.undo()
    settings.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


def leave(browser: TestClient, **headers: str) -> str:
    """Leaves for the Hub; the state that it will send back."""
    sent = browser.get("/sign-in/huggingface", headers=headers)
    assert sent.status_code == 303
    address = urlsplit(sent.headers["location"])
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert address.path == "/oauth/authorize" and asked["scope"] == "openid profile"
    assert asked["redirect_uri"] == f"https://{HOST}/login/callback" and SECRET not in address.query
    Provider.challenge = asked["code_challenge"]
    return asked["state"]


def come_back(browser: TestClient, state: str, code: str = "good") -> Any:
    return browser.get("/login/callback", params={"state": state, "code": code})


def test_the_hub_says_who_it_is_and_the_spaces_author_is_an_admin(space: App) -> None:
    browser = space.browser(AFAR, HOST)
    page = browser.get("/sign-in")
    assert "Sign in with Hugging Face" in page.text and "Password" not in page.text
    assert come_back(browser, leave(browser)).status_code == 303
    assert (who(browser)["name"], who(browser)["role"]) == ("Anna", "admin")
    Provider.name = "ben"
    other = space.browser(AFAR, HOST)
    assert come_back(other, leave(other)).status_code == 303
    assert (who(other)["name"], who(other)["role"]) == ("ben", "member")
    assert who(other)["owner"] != who(browser)["owner"]
    assert "a token" not in str(browser.cookies)


def test_who_did_not_leave_from_here_is_not_signed_in(space: App) -> None:
    victim, attacker = space.browser(AFAR, HOST), space.browser(AFAR, HOST)
    state = leave(attacker)
    for refused in (come_back(victim, state), come_back(victim, ""), come_back(attacker, "another")):
        assert refused.status_code == 403 and "begin again" in refused.text
    assert who(victim)["name"] == "" and Provider.asked == []


@pytest.mark.parametrize("name", [None, "", 5, "a\nb", "x" * 201])
def test_a_hub_that_does_not_say_who_it_is_signs_nobody_in(space: App, name: Any) -> None:
    Provider.name = name
    browser = space.browser(AFAR, HOST)
    refused = come_back(browser, leave(browser))
    assert refused.status_code == 403 and "did not say who you are" in refused.text
    assert who(browser)["name"] == ""


def test_a_wrong_code_and_a_hub_that_is_away_get_a_sentence(
    space: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = space.browser(AFAR, HOST)
    assert "did not say who you are" in come_back(browser, leave(browser), "bad").text
    state = leave(browser)
    monkeypatch.setenv("OPENID_PROVIDER_URL", "http://127.0.0.1:9")
    assert come_back(browser, state).status_code == 403


def test_in_the_frame_of_the_spaces_page_the_cookie_is_partitioned(space: App) -> None:
    frame = {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}
    sent = space.browser(AFAR, HOST).get("/sign-in/huggingface", headers=frame)
    assert "SameSite=None; Secure; Partitioned" in sent.headers["set-cookie"]


def test_elsewhere_there_is_no_such_way(tmp_path: Path) -> None:
    answer = App(tmp_path).browser().get("/sign-in/huggingface")
    assert answer.status_code == 404 and "hf_oauth" in answer.text
