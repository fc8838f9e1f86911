"""What a role may do, and the sentence for what it may not."""

from __future__ import annotations

import pytest

from vlm_app.errors import NotAllowed
from vlm_app.people import RULES, Act, Person, Role, check, may, not_theirs


def person(role: Role, name: str = "") -> Person:
    return Person("somebody", name, role)


def test_an_admin_may_do_everything() -> None:
    assert all(may(person(Role.ADMIN, "anna"), act) for act in Act)


def test_a_visitor_changes_nothing_that_is_everybodys() -> None:
    assert not any(may(person(Role.VISITOR), act) for act in Act)


def test_whoever_may_more_may_all_that_others_may() -> None:
    for act in Act:
        allowed = [may(person(role), act) for role in Role]
        assert allowed == sorted(allowed)


def test_roles_are_compared_by_what_they_may_and_not_by_the_alphabet() -> None:
    assert Role.VISITOR < Role.MEMBER < Role.ADMIN
    assert Role.ADMIN >= Role.ADMIN > Role.VISITOR and Role.MEMBER <= Role.ADMIN
    assert max(Role) is Role.ADMIN


def test_every_act_has_a_rule() -> None:
    assert set(RULES) == set(Act)


@pytest.mark.parametrize("act", Act)
def test_a_refusal_is_one_sentence_that_says_for_whom_it_is_and_what_to_do(act: Act) -> None:
    with pytest.raises(NotAllowed) as refused:
        check(person(Role.VISITOR), act)
    sentence = refused.value.sentence
    assert "admins here, and you are a visitor: sign in as one, or" in sentence
    assert sentence.count(".") == 1 and sentence.endswith(".")


def test_who_is_signed_in_is_not_told_to_sign_in() -> None:
    with pytest.raises(NotAllowed, match=r"for admins here, and you are a member: ask whoever"):
        check(person(Role.MEMBER, "anna"), Act.TRAIN)


def test_where_nobody_can_sign_in_nobody_is_told_to() -> None:
    alone = Person("somebody", "", Role.VISITOR, signs_in=False)
    with pytest.raises(NotAllowed, match=r"you are a visitor: choose one that is loaded or offered here\.$"):
        check(alone, Act.LOAD)
    (said,) = not_theirs(alone, [Act.TRAIN])
    assert said.endswith("you are a visitor: ask whoever runs this app.")


def test_what_is_not_theirs_is_told_together_for_each_role_that_may_do_it() -> None:
    acts = (Act.LOAD, Act.MODELS, Act.SERVERS, Act.PUSH)
    assert not_theirs(person(Role.VISITOR), acts) == (
        "Pushing an adapter to the Hub is for members and admins here, and you are a visitor: "
        "sign in as one, or ask whoever runs this app.",
        "Loading another model, adding models and changing servers are for admins here, and you are a "
        "visitor: sign in as one, or ask whoever runs this app.",
    )
    assert len(not_theirs(person(Role.MEMBER, "ben"), acts)) == 1
    assert not_theirs(person(Role.ADMIN), acts) == ()


def test_nobody_is_without_an_owner() -> None:
    with pytest.raises(ValueError, match="owner"):
        Person("", "anna", Role.ADMIN)
