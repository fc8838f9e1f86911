"""An app that one signs in to, with one route that says who asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api.attempts import Attempts
from vlm_app.api.middleware import SecurityHeaders, Visitors
from vlm_app.api.owner import Owners
from vlm_app.api.people import owner_of, person_of
from vlm_app.api.replies import sentence_on_error
from vlm_app.api.sign_in_routes import sign_in_routes
from vlm_app.store.persons import Persons

PASSWORD = "correct horse"
AFAR = ("203.0.113.9", 50000)
HERE = ("127.0.0.1", 50000)
PAGE = {"accept": "text/html"}


class App:
    """The routes of signing in, and one that says who asks."""

    def __init__(self, data: Path, attempts: Attempts | None = None) -> None:
        self.persons = Persons(data)
        self.owners = Owners(data)
        who = [Route("/who", sentence_on_error(_who)), Route("/", sentence_on_error(_who))]
        self.app = Starlette(
            routes=[*who, *sign_in_routes(self.owners, attempts)],
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=self.owners)],
        )

    def browser(self, client: tuple[str, int] = AFAR, host: str = "app.example") -> TestClient:
        return TestClient(self.app, base_url=f"https://{host}", client=client, follow_redirects=False)

    def signed_in(self, name: str, password: str = PASSWORD) -> TestClient:
        browser = self.browser()
        assert enter(browser, name, password).status_code == 303
        return browser


async def _who(request: Request) -> Response:
    person = person_of(request)
    return JSONResponse({"owner": owner_of(request), "name": person.name, "role": person.role})


def enter(browser: TestClient, name: str, password: str) -> Any:
    return browser.post("/sign-in", data={"name": name, "password": password})


def who(browser: TestClient, **headers: str) -> dict[str, str]:
    answer = browser.get("/", headers={**PAGE, **headers})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
