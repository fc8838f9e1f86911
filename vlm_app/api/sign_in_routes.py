"""Signing in and out over HTTP: by a password, or with an account of the Hub."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from vlm_app.api import cookies
from vlm_app.api.attempts import Attempts
from vlm_app.api.hub_sign_in import CALLBACK, MINUTES, HubSignIn
from vlm_app.api.owner import Owners
from vlm_app.api.people import DAYS, HUB, PASSWORD, SIGNED, People, counted_by, person_of
from vlm_app.api.replies import NEVER, sentence_on_error
from vlm_app.api.sign_in_page import sign_in_page, signed_in_page
from vlm_app.errors import AppError, BadInput, NotAllowed, NotFound
from vlm_app.settings import settings
from vlm_app.store.persons import Entry

STATE = "vlm_app_state"  # the cookie between leaving for the Hub and coming back
MOST_BYTES = 4096  # of the form
MOST_WAITING = 50  # who sign in at once: each takes a fifth of a second
WRONG = "This name and this password do not belong together."


def sign_in_routes(owners: Owners, attempts: Attempts | None = None) -> list[Route]:
    """The routes of signing in, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(People(owners), attempts or Attempts())
    return [
        Route("/sign-in", sentence_on_error(served.page), methods=["GET"]),
        Route("/sign-in", sentence_on_error(served.enter), methods=["POST"]),
        Route("/sign-in/huggingface", sentence_on_error(served.leave_for_hub), methods=["GET"]),
        Route(CALLBACK, sentence_on_error(served.back_from_hub), methods=["GET"]),
        Route("/sign-out", sentence_on_error(served.leave), methods=["POST"]),
    ]


class Served:
    """The handlers, with who is known and who failed of late."""

    def __init__(self, people: People, attempts: Attempts) -> None:
        self.people = people
        self.attempts = attempts
        self.hashing = asyncio.Semaphore()  # who waits for their turn holds no thread of the page's
        self.waiting = 0

    async def page(self, request: Request) -> Response:
        """The ways in; for who is in, the way out."""
        person = person_of(request)
        if person.name:
            return HTMLResponse(signed_in_page(settings().root_path, person.name, person.role), headers=NEVER)
        return self._page()

    async def enter(self, request: Request) -> Response:
        """A name and a password were sent."""
        form = await _form(request)
        name, password = form.get("name", "").strip().lower()[:100], form.get("password", "")
        try:
            if self.waiting >= MOST_WAITING:
                raise NotAllowed("Too many sign in at this moment: try again in a minute.")
            self.attempts.begin(name, counted_by(request))
        except NotAllowed as error:
            return self._page(error.sentence, name, 429)
        entry = await self._proven(name, password)
        if entry is None:
            return self._page(WRONG, name, 403)
        self.attempts.passed(name, counted_by(request))
        return self._entered(request, self.people.sign(PASSWORD, entry.name, entry.stamp))

    async def _proven(self, name: str, password: str) -> Entry | None:
        self.waiting += 1
        try:
            async with self.hashing:
                return await run_in_threadpool(self.people.persons.proven, name, password)
        finally:
            self.waiting -= 1

    async def leave(self, request: Request) -> Response:
        """Signed out: this browser is a visitor's again."""
        answer = _to_the_app()
        answer.headers.append("set-cookie", cookies.written(request.scope, SIGNED, "", 0))
        return answer

    async def leave_for_hub(self, request: Request) -> Response:
        """The Hub asks whether the app may know who they are."""
        address, state = _hub().begin(self.people.serializer)
        answer = RedirectResponse(address, 303, headers=NEVER)
        answer.headers.append("set-cookie", cookies.written(request.scope, STATE, state, MINUTES * 60))
        return answer

    async def back_from_hub(self, request: Request) -> Response:
        """The Hub sent them back."""
        asked, cookie = request.query_params, cookies.read(request.headers, STATE)
        given = (cookie, asked.get("state", ""), asked.get("code", ""))
        try:
            name = await run_in_threadpool(_hub().name, self.people.serializer, *given)
        except AppError as error:
            return self._page(error.sentence, status=403)
        answer = self._entered(request, self.people.sign(HUB, name))
        answer.headers.append("set-cookie", cookies.written(request.scope, STATE, "", 0))
        return answer

    def _page(self, wrong: str = "", name: str = "", status: int = 200) -> Response:
        html = sign_in_page(
            settings().root_path,
            passwords=bool(self.people.persons.all()),
            hub=HubSignIn.here() is not None,
            anonymous=settings().anonymous,
            wrong=wrong,
            name=name,
        )
        return HTMLResponse(html, status, headers=NEVER)

    def _entered(self, request: Request, cookie: str) -> Response:
        answer = _to_the_app()
        answer.headers.append("set-cookie", cookies.written(request.scope, SIGNED, cookie, DAYS * 24 * 3600))
        return answer


def _hub() -> HubSignIn:
    hub = HubSignIn.here()
    if hub is None:
        raise NotFound("Nobody signs in with Hugging Face here: that takes a Space with 'hf_oauth: true'.")
    return hub


def _to_the_app() -> Response:
    return RedirectResponse(f"{settings().root_path}/", 303, headers=NEVER)


async def _form(request: Request) -> Mapping[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise BadInput("A name and a password are shorter than that: reload the page.")
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=10))
    except ValueError as error:
        raise BadInput("A name and a password are expected: reload the page.") from error
