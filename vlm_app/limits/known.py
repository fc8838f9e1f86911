"""Which role an owner has, as the last request of theirs said.

Rows and files know an owner and no role: a role can change from one day to the next.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from vlm_app.limits.roles import Limits, limits_for
from vlm_app.people import Person, Role
from vlm_app.settings import Place, settings

MOST = 20_000  # owners: strangers may come with any number of them

_lock = Lock()
_roles: OrderedDict[str, Role] = OrderedDict()


def know(person: Person) -> None:
    """Remember the role of whoever asks; called for every request before anything is done for it."""
    with _lock:
        _roles[person.owner] = person.role
        _roles.move_to_end(person.owner)
        while len(_roles) > MOST:
            _roles.popitem(last=False)


def role_of(owner: str | None) -> Role:
    """The role of an owner; None is whoever sits at this computer. One who was not heard of, as after
    a restart, has that of everybody who has not signed in."""
    if owner is None:
        return Role.ADMIN
    with _lock:
        return _roles.get(owner) or everyone()


def of(owner: str | None) -> Limits:
    """What an owner may take at most."""
    return limits_for(role_of(owner))


def everyone() -> Role:
    """The role of who has not signed in."""
    return settings().everyone or (Role.ADMIN if settings().place is Place.LAPTOP else Role.VISITOR)
