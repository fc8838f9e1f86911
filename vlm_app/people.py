"""Who may do what: roles, persons, and the one table of acts.

No page and no HTTP here. Whoever does one of these acts for somebody asks `check` first, behind
the page: a control that is not shown is a courtesy, and no protection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vlm_app.errors import NotAllowed


class Role(StrEnum):
    """What somebody is here, from the least to the most."""

    VISITOR = "visitor"
    MEMBER = "member"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    # As words they would sort by the alphabet, and a visitor would stand above an admin.
    def __lt__(self, other: str) -> bool:
        return self.rank < Role(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Role(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Role(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Role(other).rank


@dataclass(frozen=True)
class Person:
    """Who asks. `owner` is whose rows they see; `name` is empty for who has not signed in, and
    `signs_in` whether they could."""

    owner: str
    name: str
    role: Role
    signs_in: bool = True

    def __post_init__(self) -> None:
        if not self.owner:
            raise ValueError("a person has an owner id: without one nothing is theirs")


class Act(StrEnum):
    """What not everybody may do."""

    LOAD = "load"  # a model that is neither loaded nor among those that the place offers
    UNLOAD = "unload"  # or cancel a load
    REMOTE = "remote"  # ask a model on a server, which may cost whoever added it
    TRAIN = "train"  # start, resume or try a run
    BRING = "bring"  # an adapter from elsewhere
    PUSH = "push"  # an adapter of one's own to the Hub
    MERGE = "merge"  # an adapter into its base: a second copy of the model is written
    SERVERS = "servers"  # add, look at again, correct, remove
    MODELS = "models"  # search the Hub and add to the catalog
    ACCOUNT = "account"  # the Hub's token of the computer that the app runs on


@dataclass(frozen=True)
class Rule:
    """Who may do an act at least; how it is called at the beginning of a sentence; what to do instead."""

    least: Role
    what: str
    instead: str


_ASK = "ask whoever runs this app"
RULES: Mapping[Act, Rule] = {
    Act.LOAD: Rule(Role.ADMIN, "Loading another model", "choose one that is loaded or offered here"),
    Act.UNLOAD: Rule(Role.ADMIN, "Unloading a model", "leave it, as what nobody uses is unloaded by itself"),
    Act.REMOTE: Rule(Role.MEMBER, "Asking a model on a server", "choose one that runs here"),
    Act.TRAIN: Rule(Role.ADMIN, "Training", _ASK),
    Act.BRING: Rule(Role.MEMBER, "Bringing an adapter", _ASK),
    Act.PUSH: Rule(Role.MEMBER, "Pushing an adapter to the Hub", "download it instead"),
    Act.MERGE: Rule(Role.ADMIN, "Merging an adapter", "download it, and merge it at home"),
    Act.SERVERS: Rule(Role.ADMIN, "Changing servers", _ASK),
    Act.MODELS: Rule(Role.ADMIN, "Adding models", _ASK),
    Act.ACCOUNT: Rule(Role.ADMIN, "Signing this app in to the Hub", _ASK),
}


def may(person: Person, act: Act) -> bool:
    """Whether the person's role is enough for the act."""
    return person.role >= RULES[act].least


def check(person: Person, act: Act) -> None:
    """Raises `NotAllowed` with a sentence where the person's role is not enough for the act."""
    if not may(person, act):
        raise NotAllowed(why_not(person, act))


def why_not(person: Person, act: Act) -> str:
    """The sentence for somebody whose role is not enough for the act."""
    rule = RULES[act]
    return f"{rule.what} is {_for(person, rule.least)}{rule.instead}."


def not_theirs(person: Person, acts: Sequence[Act]) -> tuple[str, ...]:
    """Sentences that name those of the acts for which the person's role is not enough, one for each role
    that is."""
    sentences = []
    for least in Role:
        names = [RULES[act].what for act in acts if RULES[act].least is least > person.role]
        if names:
            first, *others = names[:1] + [f"{name[0].lower()}{name[1:]}" for name in names[1:]]
            listed = f"{', '.join([first, *others[:-1]])} and {others[-1]}" if others else first
            verb = "are" if others else "is"
            sentences.append(f"{listed} {verb} {_for(person, least)}{_ASK}.")
    return tuple(sentences)


def _for(person: Person, least: Role) -> str:
    whom = "admins" if least is Role.ADMIN else f"{least}s and admins"
    sign_in = "sign in as one, or " if person.signs_in and not person.name else ""
    return f"for {whom} here, and you are a {person.role}: {sign_in}"
