"""Who sends a request: a person who signed in, one whom a trusted proxy names, or a visitor's cookie.

The middleware finds it out once for each request; whoever handles it asks `person_of`.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.types import Scope

from vlm_app.api import cookies, senders
from vlm_app.api.hub_sign_in import HubSignIn
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.errors import AppError, BadInput
from vlm_app.people import Person, Role
from vlm_app.settings import Place, Settings, settings
from vlm_app.store.persons import Persons

log = logging.getLogger(__name__)

SIGNED = "vlm_app_person"  # the cookie of who signed in
DAYS = 30  # after which one signs in again
LONGEST = 200  # characters of a name that comes from elsewhere
PASSWORD, HUB, PROXY = "password", "huggingface", "proxy"  # the ways in; a name is one person in each


@dataclass(frozen=True)
class Visit:
    """Who sent a request. `owner` is None for who has no cookie yet; `address` is '' where unknown;
    `home` is whether they sit at the computer itself, which is a laptop; `signs_in` whether there is
    a way for them to do so here.

    `counted` is what requests and wrong passwords are counted by beside the owner; '' counts nothing.
    """

    owner: str | None
    name: str
    role: Role
    address: str
    counted: str
    home: bool = False
    signs_in: bool = True

    @property
    def person(self) -> Person:
        """Whoever has no cookie yet owns nothing, but is somebody: told apart by their address."""
        return Person(self.owner or _digest("address", self.address), self.name, self.role, self.signs_in)


def person_of(request: Any) -> Person:
    """Who sent a request (Starlette's or Gradio's). Whoever sends no cookie is known by an address
    only: what is kept for an owner asks `owner_of`."""
    visit: Visit = request.state.visit
    return visit.person


def owner_of(request: Any) -> str:
    """Whose rows a request (Starlette's or Gradio's) is about. Raises `BadInput` where nobody says."""
    visit: Visit = request.state.visit
    if visit.owner is None:
        raise BadInput(
            "This page keeps your chats apart from others' by a cookie, and found none: "
            "allow cookies for this address and reload."
        )
    return visit.owner


def counted_by(request: Any) -> str:
    """What attempts are counted by beside a name: an address; '' behind a proxy that was not named."""
    visit: Visit = request.state.visit
    return visit.counted


class People:
    """Finds out who sends a request, for one data folder."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        self.persons = Persons(owners.data)
        self.serializer = URLSafeTimedSerializer(owners.secret, salt="person")

    def visit(self, scope: Scope) -> Visit:
        """Who sent it: whom a proxy names, else who signed in, else whose cookie it carries."""
        chosen, headers = settings(), Headers(scope=scope)
        address = senders.address_of(scope, chosen.trusted_proxies)
        counted = address or _hop(scope, chosen)
        named = self._named(scope, headers, chosen) or self._signed_in(cookies.read(headers, SIGNED), chosen)
        if named is not None:
            return Visit(named.owner, named.name, named.role, address, counted)
        owner = self.owners.read(cookies.read(headers, COOKIE))
        home = chosen.place is Place.LAPTOP and senders.at_home(scope, chosen.trusted_proxies)
        return Visit(owner, "", _anybody(home, chosen), address, counted, home, can_sign_in(self.persons))

    def sign(self, way: str, name: str, stamp: str = "") -> str:
        """The cookie of somebody who has shown who they are."""
        return str(self.serializer.dumps([way, name, stamp]))

    def _named(self, scope: Scope, headers: Headers, chosen: Settings) -> Person | None:
        """Whom a trusted proxy names. A name that came twice is partly the visitor's own, and nobody's."""
        if not chosen.proxy_header or not senders.from_proxy(scope, chosen.trusted_proxies):
            return None
        names = [each.strip() for each in headers.getlist(chosen.proxy_header)]
        if len(names) != 1 or not 0 < len(names[0]) <= LONGEST or not names[0].isprintable():
            return None
        return _from_elsewhere(PROXY, names[0], chosen)

    def _signed_in(self, cookie: str | None, chosen: Settings) -> Person | None:
        """Who signed in, with the role that they have now."""
        try:
            way, name, stamp = self.serializer.loads(cookie or "", max_age=DAYS * 24 * 3600)
        except (BadData, ValueError):
            return None
        if way == HUB and HubSignIn.here() is not None:
            return _from_elsewhere(HUB, name, chosen)
        try:
            entry = self.persons.find(name)
        except AppError as error:
            log.error("nobody can be signed in: %s", error.sentence)
            return None
        if entry is None or entry.stamp != stamp:
            return None
        return Person(_digest(PASSWORD, name), name, entry.role)


def _from_elsewhere(way: str, name: str, chosen: Settings) -> Person:
    admins = {each.casefold() for each in chosen.admins}
    role = Role.ADMIN if name.casefold() in admins else Role.MEMBER
    return Person(_digest(way, name.casefold()), name, role)


def can_sign_in(persons: Persons) -> bool:
    """Whether anybody can sign in on a page of ours."""
    if HubSignIn.here() is not None:
        return True
    try:
        return bool(persons.all())
    except AppError:  # whoever tries is told that the file is damaged
        return True


def _anybody(home: bool, chosen: Settings) -> Role:
    """The role of who has not signed in: at a laptop itself everything, else a visitor's."""
    if chosen.everyone is not None:
        return chosen.everyone
    return Role.ADMIN if home else Role.VISITOR


def _hop(scope: Scope, chosen: Settings) -> str:
    """A Space's proxies cannot be named, but all who come pass them."""
    return senders.last_hop(scope) if chosen.place in (Place.SPACE, Place.ZEROGPU) else ""


def _digest(way: str, name: str) -> str:
    """An owner id from a name: always the same, and none that a visitor's cookie can carry."""
    return f"{way}-{hashlib.sha256(f'{way} {name}'.encode()).hexdigest()[:32]}"
