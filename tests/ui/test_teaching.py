"""What presses under an answer make of it, and what stands under it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.ui.fake_engine import HOSTILE, SENTENCE, FakeEngine
from vlm_app.catalog import catalog
from vlm_app.chat import Chats, Conversation, How
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.examples import Example, Examples, Source
from vlm_app.media import picture_from
from vlm_app.store import Store
from vlm_app.types import Answer, StillPart, Task
from vlm_app.ui.render import Thread
from vlm_app.ui.teaching import Outcome, Teaching
from vlm_app.ui.workbench.datasets import CORRECTIONS

ME = "me"
RED, BLUE = (picture_from(Image.new("RGB", (40, 30), colour)) for colour in ("red", "blue"))


@dataclass
class Pupil:
    """A chat of a visitor, and what is pressed in it."""

    chats: Chats
    teaching: Teaching
    examples: Examples
    chat: Conversation

    def ask(self, *parts: StillPart, task: Task = Task.CHAT) -> None:
        *_, last = self.chats.send(ME, self.chat, parts, task=task)
        self.chat = last.conversation

    def again(self) -> None:
        *_, last = self.chats.regenerate(ME, self.chat.id)
        self.chat = last.conversation

    def press(self, act: str, message: int = -1, **asked: Any) -> Outcome:
        id = self.chat.messages[message].id
        made = self.teaching.pressed(ME, self.chat.id, {"act": act, "message": id, **asked})
        assert made.chat == self.chats.open(ME, self.chat.id)  # what is shown is what is kept
        self.chat = made.chat
        return made

    def kept(self, dataset: str = CORRECTIONS) -> tuple[Example, ...]:
        of = [each.id for each in self.examples.datasets(ME) if each.name == dataset]
        return self.examples.examples(ME, of[0]) if of else ()

    @property
    def html(self) -> str:
        return Thread(self.chat, catalog(), places=self.teaching.places(self.chat)).rows()[-1][1]


@pytest.fixture
def pupil(tmp_path: Path) -> Iterator[Pupil]:
    store = Store(tmp_path)
    chats = Chats(store, FakeEngine())
    yield Pupil(chats, Teaching(chats, store), Examples(store), chats.new(ME))
    store.close()


def test_thumb_up_makes_an_example_and_pressed_again_takes_it_back(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    said = pupil.press("up").sentence
    assert said == 'Approved · in My corrections: 1 example · <a href="#finetune">Fine-tune</a>'
    (example,) = pupil.kept()
    assert (example.text, len(example.regions), example.source) == (SENTENCE, 4, Source.ANSWER)
    assert (example.query, example.pictures) == ("What is there?", (RED,))
    assert pupil.chat.messages[-1].vote == 1
    assert "Approved · in" in pupil.html and "My corrections ⌄" in pupil.html
    assert "removed" in pupil.press("up").sentence
    assert (pupil.kept(), pupil.chat.messages[-1].vote) == ((), 0)
    assert "My corrections" not in pupil.html


def test_another_thumb_puts_its_example_in_the_place_of_the_first(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    pupil.press("up")
    pupil.press("down")
    (example,) = pupil.kept()
    assert (example.text, example.source) == (None, Source.VOTE)
    assert example.rejected is not None and example.rejected.text == SENTENCE
    assert pupil.chat.messages[-1].vote == -1


def test_a_correction_stands_under_the_answer_as_words(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    pupil.press("correct", text=f"{HOSTILE} ")
    (example,) = pupil.kept()
    assert (example.text, example.maker) == (HOSTILE, "person")
    assert example.rejected is not None and example.rejected.text == SENTENCE
    assert "<script>" not in pupil.html and "&lt;script&gt;" in pupil.html
    assert pupil.chat.messages[-1].taught is not None
    assert pupil.chat.messages[-1].taught.text == HOSTILE
    pupil.press("correct", text="A star.")
    assert [each.text for each in pupil.kept()] == ["A star."]
    pupil.press("back")
    assert not pupil.kept()
    assert pupil.chat.messages[-1].taught is None


def test_what_is_no_example_is_kept_as_a_vote_and_says_why(pupil: Pupil) -> None:
    pupil.ask("Hello")
    assert "Kept as a vote." in pupil.press("up").sentence
    assert (pupil.chat.messages[-1].vote, pupil.examples.datasets(ME)) == (1, ())
    assert pupil.press("up").sentence == "Taken back."
    pupil.ask(RED, "cut it")
    assert "did not come to its end" in pupil.press("up").sentence
    pupil.press("correct", text="This is all of it.")
    assert [each.text for each in pupil.kept()] == ["This is all of it."]


def test_an_answer_about_the_second_picture_of_a_chat_is_taught_with_that_one(pupil: Pupil) -> None:
    pupil.ask(RED, "hello")
    pupil.ask(BLUE, "What is there?")
    assert "left out" in pupil.press("up").sentence
    (example,) = pupil.kept()
    assert (example.pictures, {each.image for each in example.regions}) == ((BLUE,), {0})


def test_the_better_of_two_answers_is_a_pair(pupil: Pupil, monkeypatch: pytest.MonkeyPatch) -> None:
    pupil.ask(RED, "hello")
    assert "This one is better" not in pupil.html
    pupil.again()
    with pytest.raises(BadInput, match="are the same"):
        pupil.press("better", index=1, against=0)
    monkeypatch.setattr("tests.ui.fake_engine._scripted", lambda request: Answer("Hi!", model="pebble"))
    pupil.again()
    assert 'data-index="2" data-against="1" aria-pressed="false"' in pupil.html
    pupil.press("better", index=2, against=1)
    (example,) = pupil.kept()
    assert example.rejected is not None
    assert (example.text, example.rejected.text) == ("Hi!", "You said: hello")
    assert 'data-against="1" aria-pressed="true"' in pupil.html
    pupil.press("better", index=1, against=2)  # or the other way round
    (example,) = pupil.kept()
    assert (example.text, pupil.chat.messages[-1].given[2].taught) == ("You said: hello", None)
    pupil.press("better", index=1, against=2)
    assert pupil.kept() == ()


def test_an_example_goes_to_the_dataset_that_is_chosen(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    pupil.press("up")
    pupil.press("dataset", name="Shapes <b>")
    assert [len(pupil.kept(each)) for each in (CORRECTIONS, "Shapes <b>")] == [0, 1]
    assert "Shapes &lt;b&gt; ⌄" in pupil.html
    other = next(each.id for each in pupil.examples.datasets(ME) if each.name == CORRECTIONS)
    pupil.press("dataset", dataset=other)
    assert [len(pupil.kept(each)) for each in (CORRECTIONS, "Shapes <b>")] == [1, 0]
    pupil.press("dataset", dataset=other)
    assert len(pupil.kept()) == 1
    pupil.ask(BLUE, "What is there?")
    pupil.press("up", dataset="gone")  # the browser remembers one that was deleted
    assert len(pupil.kept()) == 2


def test_an_example_that_another_answer_is_stays_until_both_are_taken_back(pupil: Pupil) -> None:
    for _ in range(2):
        pupil.ask(RED, "What is there?")
    pupil.press("up", 1)
    assert "held this one already" in pupil.press("up", 3).sentence
    pupil.press("back", 1)
    assert len(pupil.kept()) == 1
    pupil.press("back", 3)
    assert pupil.kept() == ()


def test_an_example_that_was_there_before_stays_when_the_thumb_is_taken_back(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    pupil.press("up")
    (example,) = pupil.kept()
    pupil.press("up")
    dataset = next(each.id for each in pupil.examples.datasets(ME))
    pupil.examples.add(ME, dataset, example)
    pupil.press("up")
    pupil.press("up")
    assert len(pupil.kept()) == 1


def test_an_example_that_was_removed_elsewhere_is_not_shown(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    pupil.press("up")
    pupil.examples.delete(ME, pupil.kept()[0].id)
    assert "Approved" not in pupil.html
    with pytest.raises(NotFound, match="not there any more"):
        pupil.press("dataset", name="Elsewhere")
    pupil.press("up")
    assert pupil.chat.messages[-1].vote == 0


def test_nobody_teaches_with_the_answers_of_somebody_else(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    answer = pupil.chat.messages[-1].id
    with pytest.raises(NotFound):
        pupil.teaching.pressed("you", pupil.chat.id, {"act": "up", "message": answer})
    for wrong in ({"index": 7}, {"index": -1}, {"index": "x"}, {"message": "none"}):
        with pytest.raises(NotFound):
            pupil.teaching.pressed(ME, pupil.chat.id, {"act": "up", "message": answer, **wrong})


def test_places_are_corrected_on_the_workbench_and_words_in_place(pupil: Pupil) -> None:
    pupil.ask(RED, "star", task=Task.DETECT)
    assert 'aria-label="Correct…" data-bench="chat"' in pupil.html
    assert 'data-teach="correct"' not in pupil.html
    pupil.ask(BLUE, "hostile")
    assert 'data-teach="correct"' in pupil.html
    assert 'data-text="&lt;script&gt;' in pupil.html


def test_a_vote_survives_an_answer_beside_it(pupil: Pupil) -> None:
    pupil.ask(RED, "What is there?")
    pupil.press("up")
    pupil.again()
    assert pupil.chat.messages[-1].taught is None
    shown = pupil.chats.choose(ME, pupil.chat.id, pupil.chat.messages[-1].id, 0)
    assert shown.messages[-1].taught is not None
    assert shown.messages[-1].taught.how is How.APPROVED
