"""Another model inside a chat: what it gets, what it cannot get, and its answer beside the first."""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Event

import pytest

from tests.chat.conftest import find
from tests.chat.fake_engine import CIRCLE, FakeEngine, Refusal
from tests.chat.helpers import OWNER, answer_of, last, picture, said, texts
from vlm_app.chat import Chats, ChatSettings, Conversation, Taking, able
from vlm_app.errors import BadInput
from vlm_app.store import Store
from vlm_app.store.tables import ConversationRow
from vlm_app.types import Finish, Role, Task, Turn

RED, BLUE, GREEN = picture("red"), picture("blue"), picture("green")


def answered_by(chats: Chats, model: str, shown: Conversation) -> Conversation:
    return chats.configure(OWNER, shown.id, replace(shown.settings, model=model))


# --- precision and adapter --------------------------------------------------------------------


def test_precision_and_adapter_are_kept_with_the_chat_and_asked_for(chats: Chats, engine: FakeEngine) -> None:
    chosen = ChatSettings("pebble", precision="nf4", adapter="signs")
    shown = said(chats, RED, "Hi", to=replace(chats.new(OWNER), settings=chosen))
    assert (engine.requests[-1].precision, engine.requests[-1].adapter) == ("nf4", "signs")
    assert chats.open(OWNER, shown.id).settings == chosen


def test_an_older_chat_without_them_reads_as_before(chats: Chats, store: Store) -> None:
    shown = said(chats, RED, "Hi")
    with store.writing() as session:
        row = session.get(ConversationRow, shown.id)
        assert row is not None
        row.settings = {key: row.settings[key] for key in row.settings if key not in ("precision", "adapter")}
    assert chats.open(OWNER, shown.id).settings == ChatSettings("pebble", precision="auto", adapter=None)
    file = json.loads(chats.export_json(OWNER, shown.id))
    del file["settings"]["precision"], file["settings"]["adapter"]
    assert chats.import_json(OWNER, json.dumps(file).encode()).settings == shown.settings


def test_a_precision_and_an_adapter_that_are_not_here_are_left_behind(chats: Chats) -> None:
    shown = said(chats, RED, "Hi", to=replace(chats.new(OWNER), settings=ChatSettings("pebble")))
    file = json.loads(chats.export_json(OWNER, shown.id))
    file["settings"] |= {"precision": "int8", "adapter": "somebody's"}
    assert chats.import_json(OWNER, json.dumps(file).encode()).settings == ChatSettings(
        "pebble", precision="int8"
    )
    file["settings"]["precision"] = "<b>"
    assert chats.import_json(OWNER, json.dumps(file).encode()).settings == ChatSettings("pebble")


def test_an_answer_that_never_began_still_names_who_was_asked(chats: Chats, engine: FakeEngine) -> None:
    engine.refuses = Refusal("Busy.")
    chosen = ChatSettings("pebble", precision="int8", adapter="signs")
    shown = said(chats, "Hi", to=replace(chats.new(OWNER), settings=chosen))
    answer = answer_of(shown.messages[1])
    assert (answer.model, answer.precision, answer.adapter) == ("pebble", "int8", "signs")
    base = replace(chosen, precision="auto", adapter="__base__")
    answer = answer_of(said(chats, "Hi", to=replace(chats.new(OWNER), settings=base)).messages[1])
    assert (answer.precision, answer.adapter) == ("", None)


# --- what a model takes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "counts", "kept"),
    [
        ("pebble", [1, 2, 0], [0, 1, 2]),
        ("two-images", [2, 1], [1, 2]),
        ("two-images", [3, 0], [1, 2]),
        ("one-image", [1, 0, 0], [0]),
        ("last-only", [2, 1], [2]),
        ("last-only", [1, 0], [0]),
        ("last-only", [2, 0, 0], [1]),
        ("last-only", [0], []),
        ("unknown", [9], [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_the_last_images_stay(model: str, counts: list[int], kept: list[int]) -> None:
    assert list(Taking.of(find, model).kept(counts)) == kept


def test_what_would_be_left_out_is_said_before_sending(chats: Chats) -> None:
    shown = said(chats, RED, BLUE, "Hi")
    one = answered_by(chats, "one-image", shown)
    assert chats.left_out(shown, 3) == ""
    assert chats.left_out(one, 1) == "One-image takes 1 image: the 2 earlier images would be left out."
    assert chats.left_out(one, 0) == "One-image takes 1 image: the earlier image would be left out."
    assert chats.left_out(one, 3) == (
        "One-image takes 1 image, this message has 3: remove 2, or choose another model."
    )
    assert chats.left_out(answered_by(chats, "two-images", shown), 0) == ""
    last_only = answered_by(chats, "last-only", shown)
    assert chats.left_out(last_only, 1) == (
        "Last-only reads only the last message: earlier messages and their images would be left out."
    )
    assert chats.left_out(last_only, 0) == (
        "Last-only reads only the last message: earlier messages would be left out, but for the last image."
    )
    new = replace(chats.new(OWNER), settings=ChatSettings("last-only"))
    assert chats.left_out(new, 1) == ""
    assert "remove 1, or choose another model" in chats.left_out(new, 2)


def test_sending_leaves_out_what_was_said_and_regions_name_the_right_image(
    chats: Chats, engine: FakeEngine
) -> None:
    shown = said(chats, RED, BLUE, "these")
    engine.regions = (CIRCLE, replace(CIRCLE, image=1))
    step = last(
        chats.send(
            OWNER, replace(shown, settings=ChatSettings("two-images")), [GREEN, "and this?"], task=Task.CHAT
        )
    )
    request = engine.requests[-1]
    assert request.pictures == (BLUE, GREEN)
    assert request.turns[0].parts == (BLUE, "these")
    assert [region.image for region in step.answer.regions] == [1, 2]
    kept = answer_of(chats.open(OWNER, shown.id).messages[3])
    assert [region.image for region in kept.regions] == [1, 2]


def test_regions_name_the_right_image_while_the_answer_grows(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, RED, BLUE, "these")
    steps = chats.send(OWNER, replace(shown, settings=ChatSettings("one-image")), ["which?"])
    growing = [step.answer.regions[0].image for step in steps if step.answer.regions]
    assert set(growing) == {1}
    assert engine.requests[-1].pictures == (BLUE,)


def test_a_family_that_reads_one_message_gets_only_that_one(chats: Chats, engine: FakeEngine) -> None:
    shown = answered_by(chats, "last-only", said(chats, RED, "first"))
    said(chats, "second", to=shown)
    assert engine.requests[-1].turns == (Turn(Role.USER, (RED, "second")),)
    step = last(chats.send(OWNER, shown, [BLUE, "star"], task=Task.DETECT))
    assert engine.requests[-1].turns == (Turn(Role.USER, (BLUE,)),)
    assert (engine.requests[-1].query, step.answer.regions[0].image) == ("star", 1)


def test_a_continued_answer_keeps_its_image_too(chats: Chats, engine: FakeEngine) -> None:
    shown = answered_by(chats, "one-image", said(chats, RED, "Hi"))
    engine.limit = 2
    shown = said(chats, BLUE, "And?", to=shown)
    engine.limit = 9
    answer = last(chats.resume(OWNER, shown.id)).answer
    assert (answer.text, [region.image for region in answer.regions]) == ("a red circle on white", [1])


def test_earlier_answers_of_the_same_model_stay_its_own_across_a_switch(
    chats: Chats, engine: FakeEngine
) -> None:
    shown = said(chats, RED, "one")
    shown = said(chats, "two", to=answered_by(chats, "talker", shown))
    assert engine.requests[-1].turns[1].text == "a red circle on white"
    said(chats, "three", to=answered_by(chats, "pebble", shown))
    told = [turn.text for turn in engine.requests[-1].turns if turn.role is Role.ASSISTANT]
    assert told == ["A RED CIRCLE ON WHITE", "a red circle on white"]


# --- ask again with -----------------------------------------------------------------------------


def test_a_second_answer_stands_beside_the_first(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, RED, "Hi")
    engine.words, engine.regions = ["another"], ()
    steps = list(chats.ask_beside(OWNER, shown.id, ChatSettings("talker")))
    assert all(step.beside for step in steps)
    assert all(step.conversation.messages[-1] == shown.messages[-1] for step in steps[:-1])
    assert steps[0].answer.model == "talker"  # it has a name before its first word
    kept = chats.open(OWNER, shown.id)
    assert steps[-1].conversation.messages == kept.messages
    assert texts(kept) == ["Hi", "a red circle on white"]
    assert kept.settings.model == "pebble"
    given = [(each.answer.model, each.answer.text, each.shown) for each in kept.messages[1].given]
    assert given == [("pebble", "a red circle on white", True), ("talker", "another", False)]
    said(chats, "And?", to=kept)
    assert engine.requests[-1].model == "pebble"
    assert engine.requests[-1].turns[1].text == "A RED CIRCLE ON WHITE"


def test_the_chat_goes_on_with_the_other_answer_and_its_writer(chats: Chats, engine: FakeEngine) -> None:
    chosen = ChatSettings("pebble", "Be brief.", precision="int8", adapter="signs")
    shown = said(chats, RED, "Hi", to=replace(chats.new(OWNER), settings=chosen))
    engine.words, engine.regions = ["another"], ()
    list(chats.ask_beside(OWNER, shown.id, replace(chosen, model="talker", precision="auto", adapter=None)))
    shown = chats.go_on_with(OWNER, shown.id, shown.messages[1].id, 1)
    assert (texts(shown)[1], shown.settings) == ("another", ChatSettings("talker", "Be brief."))
    said(chats, "And?", to=shown)
    assert (engine.requests[-1].model, engine.requests[-1].turns[2].text) == ("talker", "ANOTHER")


def test_a_model_without_the_task_is_asked_in_words(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, RED, task=Task.DETECT, query="star")
    step = last(chats.ask_beside(OWNER, shown.id, ChatSettings("talker")))
    request = engine.requests[-1]
    assert (request.task, request.query) == (Task.CHAT, "")
    assert request.turns[-1].parts == (RED, "Where is star?")
    assert step.conversation.messages[0].task is Task.DETECT
    list(chats.ask_beside(OWNER, shown.id, ChatSettings("two-images")))
    assert (engine.requests[-1].task, engine.requests[-1].query) == (Task.DETECT, "star")


def test_only_models_that_can_answer_are_able() -> None:
    assert able(find("talker"), Task.DETECT)
    assert able(replace(find("talker"), chat=False), Task.CHAT)
    assert not able(replace(find("talker"), chat=False), Task.DETECT)
    assert not able(replace(find("last-only"), tasks=frozenset({Task.OCR})), Task.CHAT)


def test_a_stopped_or_refused_answer_beside_leaves_the_first_alone(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, RED, "Hi")
    stop = Event()
    for step in chats.ask_beside(OWNER, shown.id, ChatSettings("talker"), stop=stop):
        if step.answer.text == "a ":
            stop.set()
    assert (step.answer.text, step.answer.finish) == ("a ", Finish.CANCELLED)
    engine.refuses = Refusal("Busy.")
    list(chats.ask_beside(OWNER, shown.id, ChatSettings("two-images")))
    kept = chats.open(OWNER, shown.id).messages[1]
    assert kept.answer == answer_of(shown.messages[1])
    assert [each.answer.finish for each in kept.given] == [Finish.STOP, Finish.CANCELLED, Finish.FAILED]


def test_nothing_can_stand_beside_an_answer_that_was_never_given(chats: Chats) -> None:
    steps = chats.send(OWNER, chats.new(OWNER), ["Hi"])
    id = next(steps).conversation.id
    with pytest.raises(BadInput, match="no answer yet"):
        chats.ask_beside(OWNER, id, ChatSettings("talker"))


def test_a_model_that_takes_fewer_images_than_the_message_has_is_refused(chats: Chats) -> None:
    shown = said(chats, RED, BLUE, "Hi")
    with pytest.raises(BadInput, match="takes 1 image, this message has 2"):
        chats.ask_beside(OWNER, shown.id, ChatSettings("one-image"))


def test_answers_side_by_side_are_exported_and_come_back(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, RED, "Hi")
    engine.words, engine.regions = ["another"], ()
    list(chats.ask_beside(OWNER, shown.id, ChatSettings("talker")))
    again = chats.import_json("eve", chats.export_json(OWNER, shown.id))
    assert again.messages[1].given == chats.open(OWNER, shown.id).messages[1].given
