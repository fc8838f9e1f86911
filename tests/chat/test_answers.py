"""Answers that are stopped, fail, are cut, given again, or voted on; messages that are edited."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select

from tests.chat.conftest import find
from tests.chat.fake_engine import CIRCLE, FakeEngine, Refusal
from tests.chat.helpers import OWNER, answer_of, last, picture, said, texts
from vlm_app.chat import Chats, ChatSettings
from vlm_app.errors import BadInput, GenerationFailed, NotFound
from vlm_app.store import Store
from vlm_app.store.tables import AnswerRow, MessageRow
from vlm_app.types import Finish, Role, Task, Usage

# --- stopped and broken off -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "text"), [(1, ""), (2, ""), (4, "a red circle"), (6, "a red circle on white")]
)
def test_a_closed_answer_is_kept_as_far_as_it_came(
    chats: Chats, engine: FakeEngine, steps: int, text: str
) -> None:
    progress = chats.send(OWNER, chats.new(OWNER), [picture(), "Hi"])
    for _ in range(steps):
        step = next(progress)
    progress.close()
    assert engine.closed == (steps > 1)  # what was never begun needs no closing
    answer = answer_of(chats.open(OWNER, step.conversation.id).messages[1])
    assert (answer.text, answer.finish) == (text, Finish.CANCELLED)
    assert answer.regions == ((CIRCLE,) if "circle" in text else ())


def test_a_stopped_answer_ends_by_itself_and_knows_all(chats: Chats, engine: FakeEngine) -> None:
    stop = Event()
    progress = chats.send(OWNER, chats.new(OWNER), ["Hi"], stop=stop)
    for step in progress:
        if step.answer.text == "a ":
            stop.set()
    assert step.done
    assert (step.answer.text, step.answer.finish, step.answer.raw) == ("a ", Finish.CANCELLED, "A ")
    assert chats.open(OWNER, step.conversation.id).messages == step.conversation.messages


def test_a_chat_that_is_deleted_while_it_is_answered_can_be_closed(chats: Chats, engine: FakeEngine) -> None:
    progress = chats.send(OWNER, chats.new(OWNER), ["Hi"])
    chats.delete(OWNER, next(progress).conversation.id)
    next(progress)
    progress.close()
    assert (engine.closed, chats.list(OWNER)) == (1, ())


def test_an_answer_that_fails_midway_keeps_its_text_and_its_sentence(
    chats: Chats, engine: FakeEngine
) -> None:
    engine.fails = {2: GenerationFailed("The model ran out of memory: use a smaller image.")}
    shown = said(chats, picture(), "Hi")
    answer = answer_of(chats.open(OWNER, shown.id).messages[1])
    assert (answer.text, answer.finish) == ("a red circle", Finish.FAILED)
    assert answer.error == "The model ran out of memory: use a smaller image."
    assert answer.regions == (CIRCLE,)
    engine.fails = {}
    assert answer_of(said(chats, "again", to=shown).messages[3]).finish is Finish.STOP


def test_a_mistake_of_the_app_is_logged_and_told_by_its_id(
    chats: Chats, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.fails = {1: ZeroDivisionError("0x7f secret /path")}
    with caplog.at_level(logging.ERROR):
        answer = answer_of(said(chats, "Hi").messages[1])
    assert answer.finish is Finish.FAILED
    assert "secret" not in answer.error
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].getMessage().split()[-1] in answer.error


_KILLED = """
import os, sys
from pathlib import Path
from tests.chat.conftest import find
from tests.chat.fake_engine import FakeEngine
from tests.chat.helpers import picture
from vlm_app.chat import Chats
from vlm_app.store import Store
chats = Chats(Store(Path(sys.argv[1])), FakeEngine(), find)
progress = chats.send("ada", chats.new("ada"), [picture(), "Are you there?"])
for step in progress:
    if step.answer.text:
        os.kill(os.getpid(), 9)
"""


def test_a_killed_app_keeps_the_question_which_can_be_answered_later(
    tmp_path: Path, engine: FakeEngine
) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "kept")]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    store = Store(tmp_path / "kept")
    chats = Chats(store, engine, find)
    shown = chats.open(OWNER, chats.list(OWNER)[0].id)
    assert [message.turn.parts for message in shown.messages] == [(picture(), "Are you there?")]
    shown = last(chats.regenerate(OWNER, shown.id)).conversation
    assert texts(shown) == ["Are you there?", "a red circle on white"]
    assert shown.messages[1].alternatives == 0
    store.close()


def test_an_image_that_is_damaged_on_the_disk_gets_a_sentence(chats: Chats, store: Store) -> None:
    shown = said(chats, picture(size=(200, 200)), "Hi")
    path = store.picture_path(OWNER, shown.media[0])
    path.write_bytes(path.read_bytes()[:60])
    assert "damaged" in last(chats.regenerate(OWNER, shown.id)).answer.error


# --- cut at the limit -----------------------------------------------------------------------


def test_continue_makes_one_answer_of_a_cut_one(chats: Chats, engine: FakeEngine) -> None:
    engine.limit = 2
    shown = said(chats, picture(), "Hi")
    chats.vote(OWNER, shown.id, shown.messages[1].id, 1)
    assert answer_of(shown.messages[1]).finish is Finish.LENGTH
    steps = list(chats.resume(OWNER, shown.id))
    assert [step.answer.text for step in steps if step.answer.text != "a red circle"] == [
        "a red circle on ",
        "a red circle on white",
        "a red circle on white",
    ]
    message = chats.open(OWNER, shown.id).messages[1]
    answer = answer_of(message)
    assert (answer.text, answer.raw) == ("a red circle on white", "A RED CIRCLE ON WHITE")
    assert (answer.regions, answer.finish) == ((CIRCLE,), Finish.STOP)
    assert (answer.usage, answer.timings.total) == (Usage(10, 8), 2.0)
    assert (message.id, message.alternatives, message.vote) == (shown.messages[1].id, 0, 1)
    assert [turn.role for turn in engine.requests[1].turns] == [Role.USER, Role.ASSISTANT]
    assert engine.requests[1].turns[1].parts == ("A RED CIRCLE",)  # as the model wrote it


def test_continue_goes_on_after_stop_and_after_a_failure(chats: Chats, engine: FakeEngine) -> None:
    progress = chats.send(OWNER, chats.new(OWNER), [picture(), "Hi"])
    while (step := next(progress)).answer.text != "a red circle":
        pass
    progress.close()
    id = step.conversation.id
    engine.fails = {1: Refusal("Out of memory.")}
    broken = last(chats.resume(OWNER, id)).answer
    assert (broken.text, broken.finish) == ("a red circle on ", Finish.FAILED)
    engine.fails = {}
    whole = last(chats.resume(OWNER, id)).answer
    assert (whole.text, whole.finish, whole.error) == ("a red circle on white", Finish.STOP, "")
    assert whole.regions == (CIRCLE,)  # the engine went on from plain text and could not know it


def test_a_refused_continue_loses_nothing_of_the_answer(chats: Chats, engine: FakeEngine) -> None:
    engine.limit = 2
    shown = said(chats, picture(), "Hi")
    engine.refuses = Refusal("Busy.")
    answer = last(chats.resume(OWNER, shown.id)).answer
    assert (answer.text, answer.raw, answer.error) == ("a red circle", "A RED CIRCLE", "Busy.")
    engine.refuses, engine.limit = None, 9
    assert last(chats.resume(OWNER, shown.id)).answer.text == "a red circle on white"


def test_there_is_nothing_to_continue_in_a_whole_answer(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, "Hi")
    with pytest.raises(BadInput, match="no answer that was cut"):
        chats.resume(OWNER, shown.id)
    engine.refuses = Refusal("Busy.")
    shown = said(chats, "Hi", to=shown)
    with pytest.raises(BadInput, match="no answer that was cut"):
        chats.resume(OWNER, shown.id)


# --- again ----------------------------------------------------------------------------------


def test_an_answer_given_again_keeps_the_old_one_with_its_vote(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, picture(), "Hi")
    message = shown.messages[1].id
    assert chats.vote(OWNER, shown.id, message, -1).messages[1].vote == -1
    engine.words, engine.regions = ["better"], ()
    shown = last(chats.regenerate(OWNER, shown.id)).conversation
    assert texts(shown) == ["Hi", "better"]
    assert (shown.messages[1].id, shown.messages[1].alternatives, shown.messages[1].vote) == (message, 1, 0)
    chats.vote(OWNER, shown.id, message, 1)
    kept = chats.alternatives(OWNER, shown.id, message)
    assert [(each.answer.text, each.vote, each.shown) for each in kept] == [
        ("a red circle on white", -1, False),
        ("better", 1, True),
    ]
    assert [turn.role for turn in engine.requests[-1].turns] == [Role.USER]  # it does not see the first try
    shown = chats.choose(OWNER, shown.id, message, 0)
    assert (texts(shown)[1], shown.messages[1].vote) == ("a red circle on white", -1)
    assert chats.list(OWNER, "better") == ()
    with pytest.raises(NotFound, match="2 answers"):
        chats.choose(OWNER, shown.id, message, 2)


@pytest.mark.parametrize("value", [2, -3])
def test_a_vote_is_up_down_or_none(chats: Chats, value: int) -> None:
    shown = said(chats, "Hi")
    with pytest.raises(BadInput, match="-1, 0 or 1"):
        chats.vote(OWNER, shown.id, shown.messages[1].id, value)
    with pytest.raises(NotFound, match="question"):
        chats.vote(OWNER, shown.id, shown.messages[0].id, 1)


def test_the_same_model_reads_its_markup_again_and_another_plain_text(
    chats: Chats, engine: FakeEngine
) -> None:
    engine.words = ["<think>hm</think>", "a star"]
    shown = said(chats, "Hi")
    shown = said(chats, "And?", to=shown)
    assert engine.requests[-1].turns[1].parts == ("<THINK>HM</THINK>A STAR",)
    said(chats, "And you?", to=chats.configure(OWNER, shown.id, ChatSettings("two-images")))
    assert engine.requests[-1].turns[1].parts == engine.requests[-1].turns[3].parts == ("a star",)


# --- edited ---------------------------------------------------------------------------------


def test_an_edited_message_takes_the_place_of_all_that_followed(
    chats: Chats, engine: FakeEngine, store: Store
) -> None:
    shown = said(chats, picture("red"), "one")
    shown = said(chats, picture("blue"), "two", to=shown)
    shown = said(chats, "three", to=shown)
    chats.vote(OWNER, shown.id, shown.messages[3].id, -1)
    shown = last(chats.edit(OWNER, shown.id, shown.messages[2].id, [picture("green"), "TWO"])).conversation
    assert texts(shown)[::2] == texts(chats.open(OWNER, shown.id))[::2] == ["one", "TWO"]
    assert [turn.text for turn in engine.requests[-1].turns][::2] == ["one", "TWO"]
    assert shown.pictures == (picture("red"), picture("green"))
    assert chats.list(OWNER, "three") == ()
    assert said(chats, "four", to=shown).messages[4].turn.text == "four"
    with store.reading() as session:  # kept for training: the answer, what it answered, and its vote
        row = session.scalars(select(AnswerRow).filter_by(vote=-1)).one()
        message = session.scalars(select(MessageRow).filter_by(id=row.message_id)).one()
        assert (message.superseded, row.body["text"]) == (True, "a red circle on white")


def test_a_message_that_was_edited_away_cannot_be_edited_or_voted_on(chats: Chats) -> None:
    shown = said(chats, "one")
    last(chats.edit(OWNER, shown.id, shown.messages[0].id, ["ONE"]))
    with pytest.raises(NotFound):
        chats.edit(OWNER, shown.id, shown.messages[0].id, ["uno"])
    with pytest.raises(NotFound):
        chats.vote(OWNER, shown.id, shown.messages[1].id, 1)
    with pytest.raises(NotFound, match="not one of your messages"):
        chats.edit(OWNER, shown.id, chats.open(OWNER, shown.id).messages[1].id, ["an answer"])


def test_a_title_follows_the_first_message_unless_it_was_chosen(chats: Chats) -> None:
    shown = said(chats, "one")
    shown = last(chats.edit(OWNER, shown.id, shown.messages[0].id, ["two"])).conversation
    assert shown.title == "two"
    shown = chats.rename(OWNER, shown.id, "mine")
    shown = last(chats.edit(OWNER, shown.id, shown.messages[0].id, ["three"])).conversation
    assert shown.title == chats.open(OWNER, shown.id).title == "mine"


def test_an_edited_task_asks_for_its_new_words(chats: Chats, engine: FakeEngine) -> None:
    shown = said(chats, picture(), task=Task.DETECT, query="star")
    shown = last(chats.edit(OWNER, shown.id, shown.messages[0].id, [picture("blue")])).conversation
    assert (engine.requests[-1].task, engine.requests[-1].query) == (Task.DETECT, "star")
    last(chats.edit(OWNER, shown.id, shown.messages[0].id, [picture("blue"), "circle"]))
    assert (engine.requests[-1].task, engine.requests[-1].query) == (Task.DETECT, "circle")


def test_a_refused_edit_changes_nothing(chats: Chats) -> None:
    shown = said(chats, picture(), task=Task.DETECT, query="star")
    with pytest.raises(BadInput, match="needs an image"):
        chats.edit(OWNER, shown.id, shown.messages[0].id, ["star"])
    assert chats.open(OWNER, shown.id).messages == shown.messages


def test_an_answer_that_arrives_after_an_edit_is_not_shown(chats: Chats) -> None:
    shown = said(chats, "one")
    late = chats.send(OWNER, shown, ["two"])
    next(late)
    last(chats.edit(OWNER, shown.id, shown.messages[0].id, ["ONE"]))
    list(late)
    assert texts(chats.open(OWNER, shown.id)) == ["ONE", "a red circle on white"]


def test_a_failed_task_leaves_no_words_that_the_next_could_take_for_its_query(
    chats: Chats, engine: FakeEngine
) -> None:
    engine.refuses = Refusal("Busy.")
    shown = said(chats, picture(), "hello")
    engine.refuses = None
    said(chats, to=shown, task=Task.DETECT)
    assert engine.requests[-1].turns[-1].parts == (picture(),)
    assert engine.requests[-1].query == ""
