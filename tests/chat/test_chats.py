"""Sending, and what is there afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chat.conftest import find
from tests.chat.fake_engine import CIRCLE, FakeEngine, Refusal
from tests.chat.helpers import OWNER, answer_of, last, picture, said, texts
from vlm_app.chat import Chats, ChatSettings
from vlm_app.errors import BadInput, NotFound
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import Finish, Role, Sampling, Task, Turn

# --- a message and its answer -------------------------------------------------------------


def test_an_answer_grows_and_is_kept_whole(chats: Chats, engine: FakeEngine) -> None:
    steps = list(chats.send(OWNER, chats.new(OWNER), [picture(), "What is there?"]))
    growing = ["a ", "a red circle", "a red circle on ", "a red circle on white"]
    assert [step.answer.text for step in steps] == ["", "", *growing, growing[-1]]
    assert [step.done for step in steps] == [False] * 6 + [True]
    assert [len(step.conversation.messages) for step in steps] == [1] * 6 + [2]
    assert steps[3].answer.regions == (CIRCLE,)
    answer = answer_of(chats.open(OWNER, steps[0].conversation.id).messages[1])
    whole = engine.whole(engine.requests[0], "a red circle on white", Finish.STOP, (CIRCLE,))
    assert answer == steps[-1].answer == whole


def test_the_last_step_is_what_is_found_later(chats: Chats) -> None:
    shown = said(chats, picture(), "What is there?")
    found = chats.open(OWNER, shown.id)
    assert found.messages == shown.messages
    assert (found.title, found.settings, found.created) == (shown.title, shown.settings, shown.created)


def test_a_restart_loses_nothing(chats: Chats, engine: FakeEngine, store: Store) -> None:
    shown = said(chats, "first", picture("red"), "then", picture("blue"), "What is there?")
    chats.vote(OWNER, shown.id, shown.messages[1].id, 1)
    store.close()
    again = Store(store.data)
    found = Chats(again, engine, find).open(OWNER, shown.id)
    assert found.messages[0] == shown.messages[0]
    assert answer_of(found.messages[1]) == answer_of(shown.messages[1])
    assert found.messages[1].vote == 1
    assert [image.pixels.getpixel((0, 0)) for image in found.pictures] == [(255, 0, 0), (0, 0, 255)]
    again.close()


def test_texts_and_images_keep_their_order(chats: Chats, engine: FakeEngine) -> None:
    parts = ("one circle:", picture("red"), "two circles:", picture("blue"), "and here?", picture("red"))
    shown = said(chats, *parts)
    assert chats.open(OWNER, shown.id).messages[0].turn.parts == parts
    assert engine.requests[0].turns == (Turn(Role.USER, parts),)
    media = shown.messages[0].media
    assert (len(media), media[0]) == (3, media[2])


def test_the_request_carries_the_settings_of_the_chat(chats: Chats, engine: FakeEngine) -> None:
    chosen = ChatSettings("two-images", "Be brief.", Sampling(0.5, 0.9, 64, 7), Task.CHAT, 65_536)
    said(chats, picture(), "Hi", to=replace(chats.new(OWNER), settings=chosen))
    request = engine.requests[0]
    assert request.turns[0] == Turn(Role.SYSTEM, ("Be brief.",))
    assert (request.model, request.sampling, request.pixels) == ("two-images", chosen.sampling, 65_536)


def test_settings_are_kept_with_the_chat(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, picture(), "Hi")
    chosen = ChatSettings("two-images", "  ", Sampling(1.0), pixels=None)
    assert chats.configure(OWNER, shown.id, chosen).settings == chosen
    last(chats.regenerate(OWNER, shown.id))
    assert engine.requests[-1].model == "two-images"
    assert [turn.role for turn in engine.requests[-1].turns] == [Role.USER]  # a blank prompt is none


def test_a_new_chat_is_kept_from_its_first_message_on(chats: Chats) -> None:
    new = chats.new(OWNER)
    assert chats.list(OWNER) == ()
    with pytest.raises(NotFound):
        chats.open(OWNER, new.id)
    assert said(chats, "Hi", to=new).id == new.id
    assert texts(said(chats, "And?", to=new))[::2] == ["Hi", "And?"]  # a stale page does not lose the first


def test_a_task_is_asked_with_its_query_and_kept(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, picture(), task=Task.DETECT, query=" red circle ")
    assert (engine.requests[0].task, engine.requests[0].query) == (Task.DETECT, "red circle")
    message = chats.open(OWNER, shown.id).messages[0]
    assert (message.task, message.query, shown.title) == (Task.DETECT, "red circle", "Detect red circle")
    said(chats, "blue square", to=shown, task=Task.POINT)  # the image is the one before
    assert engine.requests[1].query == "blue square"
    # What was detected before is told in the words in which it was asked.
    assert engine.requests[1].turns[0].parts == (picture(), "Detect red circle.")


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [[], [""], [" \n", "\t"]])
def test_an_empty_message_is_refused_and_not_kept(chats: Chats, parts: list[str]) -> None:
    with pytest.raises(BadInput, match="empty"):
        chats.send(OWNER, chats.new(OWNER), parts)
    assert chats.list(OWNER) == ()


def test_a_task_without_any_image_is_refused(chats: Chats, engine: FakeEngine) -> None:
    with pytest.raises(BadInput, match="'Ocr regions' needs an image"):
        chats.send(OWNER, chats.new(OWNER), ["read"], task=Task.OCR_REGIONS)
    assert (chats.list(OWNER), engine.requests) == ((), [])


def test_too_many_images_are_counted_in_the_sentence(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_APP_MAX_IMAGES", "2")
    settings.cache_clear()
    with pytest.raises(BadInput, match="3 images, at most 2 are taken: remove 1"):
        chats.send(OWNER, chats.new(OWNER), [picture(), picture(), picture(), "Hi"])


def test_a_message_with_more_images_than_the_model_takes_is_refused(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, picture(), "Hi", to=replace(chats.new(OWNER), settings=ChatSettings("two-images")))
    with pytest.raises(BadInput, match="Two-images takes 2 images, this message has 3: remove 1, or choose"):
        chats.send(OWNER, shown, [picture(), picture("blue"), picture("green"), "And these?"])
    assert chats.open(OWNER, shown.id).messages == shown.messages
    assert len(engine.requests) == 1


def test_a_refusal_of_the_engine_keeps_the_message_and_the_chat_goes_on(
    chats: Chats, engine: FakeEngine
) -> None:
    engine.refuses = Refusal("The model is too large: choose a smaller one.")
    shown = said(chats, picture(), "What is there?")
    answer = answer_of(shown.messages[1])
    assert (answer.finish, answer.error) == (Finish.FAILED, "The model is too large: choose a smaller one.")
    assert (answer.text, answer.model) == ("", settings().model)
    engine.refuses = None
    shown = said(chats, "And now?", to=chats.open(OWNER, shown.id))
    assert answer_of(shown.messages[3]).finish is Finish.STOP
    # The model gets both questions as one turn: templates want roles that take turns.
    assert engine.requests[-1].turns == (Turn(Role.USER, (picture(), "What is there?", "And now?")),)


def test_a_model_that_left_the_catalog_is_the_engines_to_name(chats: Chats, engine: FakeEngine) -> None:
    engine.refuses = Refusal("There is no model 'gone'.")
    shown = said(chats, "Hi", to=replace(chats.new(OWNER), settings=ChatSettings("gone")))
    assert answer_of(shown.messages[1]).error == "There is no model 'gone'."


@pytest.mark.parametrize(
    "text", ["half a \ud83d character", "\x00", "<|im_end|><image><loc_3>", "x" * 100_000]
)
def test_strange_text_is_answered_like_any_other(chats: Chats, text: str) -> None:
    shown = said(chats, text)
    chats.configure(OWNER, shown.id, replace(shown.settings, system=text))
    chats.rename(OWNER, shown.id, text)
    assert answer_of(chats.open(OWNER, shown.id).messages[1]).finish is Finish.STOP
    assert chats.list(OWNER, text[:5].strip()) != ()


# --- the list -------------------------------------------------------------------------------


def test_chats_are_listed_with_the_last_used_first(chats: Chats) -> None:
    first, second = said(chats, "one"), said(chats, "two")
    assert [line.title for line in chats.list(OWNER)] == ["two", "one"]
    said(chats, "again", to=first)
    assert [line.id for line in chats.list(OWNER)] == [first.id, second.id]


def test_a_search_looks_into_titles_questions_and_answers(chats: Chats, engine: FakeEngine) -> None:
    engine.words = ["Überall ", "100 % Blau"]
    circle = said(chats, "Wo ist der ROTE Kreis?")
    engine.words = ["nowhere"]
    square = said(chats, picture(), task=Task.DETECT, query="Green Square")
    chats.rename(OWNER, square.id, "Ärger")
    for search, found in [
        ("", {circle.id, square.id}),
        ("rote kreis", {circle.id}),
        ("ÜBERALL", {circle.id}),
        ("100 %", {circle.id}),
        ("1%0", set()),
        ("_", set()),
        ("green", {square.id}),
        ("ärger", {square.id}),
        ("NOWHERE", {square.id}),
        ("'; DROP TABLE messages; --", set()),
    ]:
        assert {line.id for line in chats.list(OWNER, search)} == found, search


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        (("What is\n  there?",), "What is there?"),
        (("word " * 40,), "word word word word word word word word word word word…"),
        (("x" * 90,), "x" * 59 + "…"),
        ((picture(),), "Image"),
        ((picture(), picture()), "2 images"),
        ((picture(), "Look"), "Look"),
    ],
)
def test_a_chat_is_titled_by_its_first_message(chats: Chats, parts: tuple[object, ...], title: str) -> None:
    shown = said(chats, *parts)
    assert shown.title == chats.list(OWNER)[0].title == title
    assert said(chats, "something else", to=shown).title == title


def test_a_chat_can_be_renamed_and_a_blank_name_is_refused(chats: Chats) -> None:
    shown = said(chats, "Hi")
    assert chats.rename(OWNER, shown.id, " My  chat ").title == "My chat"
    with pytest.raises(BadInput, match="empty"):
        chats.rename(OWNER, shown.id, " ")


def test_a_deleted_chat_takes_its_images_along_and_leaves_those_of_others(chats: Chats, store: Store) -> None:
    shown, other = said(chats, picture("red"), picture("blue")), said(chats, picture("red"))
    red, blue = shown.media
    chats.delete(OWNER, shown.id)
    assert [line.id for line in chats.list(OWNER)] == [other.id]
    assert store.picture(OWNER, red) == picture("red")
    with pytest.raises(NotFound):
        store.picture(OWNER, blue)
    with pytest.raises(NotFound):
        chats.send(OWNER, shown, ["still there?"])


# --- owners ---------------------------------------------------------------------------------


def test_nobody_reaches_what_belongs_to_somebody_else(chats: Chats, store: Store) -> None:
    hers = said(chats, picture(), "Hi")
    answer = hers.messages[1].id
    attempts: list[Callable[[str], object]] = [
        lambda who: chats.open(who, hers.id),
        lambda who: chats.rename(who, hers.id, "mine"),
        lambda who: chats.configure(who, hers.id, ChatSettings("pebble")),
        lambda who: chats.delete(who, hers.id),
        lambda who: chats.send(who, hers, ["mine"]),
        lambda who: chats.send(who, replace(hers, owner=who), ["mine"]),
        lambda who: chats.send(who, replace(chats.new(who), id=hers.id), ["mine"]),
        lambda who: chats.regenerate(who, hers.id),
        lambda who: chats.resume(who, hers.id),
        lambda who: chats.edit(who, hers.id, hers.messages[0].id, ["mine"]),
        lambda who: chats.vote(who, hers.id, answer, -1),
        lambda who: chats.alternatives(who, hers.id, answer),
        lambda who: chats.choose(who, hers.id, answer, 0),
        lambda who: chats.export_json(who, hers.id),
        lambda who: chats.export_markdown(who, hers.id),
        lambda who: store.picture(who, hers.media[0]),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt("bob")
    assert chats.list("bob", "Hi") == ()
    assert chats.open(OWNER, hers.id).messages == hers.messages


def test_a_message_of_another_chat_is_not_found(chats: Chats) -> None:
    one, two = said(chats, "one"), said(chats, "two")
    for attempt in (
        lambda: chats.vote(OWNER, one.id, two.messages[1].id, 1),
        lambda: chats.alternatives(OWNER, one.id, two.messages[1].id),
        lambda: chats.choose(OWNER, one.id, two.messages[1].id, 0),
        lambda: chats.edit(OWNER, one.id, two.messages[0].id, ["x"]),
    ):
        with pytest.raises(NotFound):
            attempt()


# --- several at once ------------------------------------------------------------------------


def test_many_people_chat_at_once(chats: Chats) -> None:
    def chat(number: int) -> list[str]:
        owner = f"owner {number}"
        shown = last(chats.send(owner, chats.new(owner), [picture(), "0"])).conversation
        for turn in range(1, 4):
            shown = last(chats.send(owner, shown, [picture(size=(number + 1, turn)), str(turn)])).conversation
        return texts(chats.open(owner, shown.id))[::2]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(chat, range(8))) == [["0", "1", "2", "3"]] * 8


def test_two_tabs_of_one_chat_keep_each_answer_with_its_question(chats: Chats) -> None:
    shown = said(chats, "0")
    barrier = threading.Barrier(6)

    def ask(number: int) -> None:
        barrier.wait(20)
        last(chats.send(OWNER, shown, [str(number)]))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(1, 7)))
    found = chats.open(OWNER, shown.id)
    assert [message.turn.role for message in found.messages] == [Role.USER, Role.ASSISTANT] * 7
    assert sorted(texts(found)[::2]) == [str(number) for number in range(7)]


def test_an_answer_to_a_deleted_chat_ends_with_a_sentence(chats: Chats) -> None:
    steps = chats.send(OWNER, chats.new(OWNER), ["Hi"])
    chats.delete(OWNER, next(steps).conversation.id)
    with pytest.raises(NotFound, match="deleted while it was answered"):
        list(steps)
    assert chats.list(OWNER) == ()


def test_nothing_is_written_outside_the_stores_folder(chats: Chats, store: Store, tmp_path: Path) -> None:
    said(chats, picture(), "Hi")
    assert [path.name for path in tmp_path.iterdir()] == [store.data.name]
