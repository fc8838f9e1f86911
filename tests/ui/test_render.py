"""A conversation as rows of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from vlm_app.chat import Alternative, ChatSettings, Conversation, Message
from vlm_app.media import picture_from
from vlm_app.types import Answer, Box, Checkpoint, Finish, Part, Region, Role, Runs, Seen, Task, Turn
from vlm_app.ui.beside import Choice, models
from vlm_app.ui.render import Thread

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MODELS: Mapping[str, Checkpoint] = {
    name: Checkpoint(name, name.title(), "pebble", "models/pebble", frozenset({Task.CHAT}))
    for name in ("pebble", "other")
}
RED, BLUE = (picture_from(Image.new("RGB", (40, 30), colour)) for colour in ("red", "blue"))


def asked(*parts: Part, media: tuple[str, ...] = (), task: Task = Task.CHAT) -> Message:
    return Message("q", Turn(Role.USER, parts), media, None, 0, 0, NOW, task)


def answered(answer: Answer, vote: int = 0) -> Message:
    return Message("a", Turn(Role.ASSISTANT, (answer.text,)), (), answer, vote, 0, NOW)


def thread(*messages: Message) -> Thread:
    return Thread(Conversation("c", "o", "t", ChatSettings("pebble"), messages, NOW, NOW), MODELS)


def last_row(answer: Answer, vote: int = 0) -> str:
    rows = thread(asked("?", RED, BLUE, media=("one", "two")), answered(answer, vote)).rows()
    return rows[-1][1]


def test_parts_of_a_question_keep_their_order() -> None:
    ((role, html),) = thread(asked("first", RED, BLUE, "last", media=("one", "two"))).rows()
    assert role == "user"
    places = [html.index(each) for each in ("first", "/media/one?side=320", "/media/two?side=320", "last")]
    assert places == sorted(places)


def test_task_of_a_question_is_named() -> None:
    assert ">Detect</span>" in thread(asked("red circle", task=Task.DETECT)).rows()[0][1]


def test_regions_lie_on_the_picture_that_they_name() -> None:
    regions = (Region("car", Box(0, 0, 0.5, 0.5), image=1, span=(2, 5)),)
    html = last_row(Answer("a car", regions))
    assert 'src="/media/two"' in html
    assert 'src="/media/one"' not in html
    assert 'data-r="a-0"' in html.split("</p>")[0]
    assert "/media/two/answer/a" in html


def test_region_on_a_picture_that_is_not_there_is_left_out() -> None:
    assert "<figure" not in last_row(Answer("a car", (Region("car", Box(0, 0, 1, 1), image=7),)))


def test_spans_count_from_the_start_of_what_was_thought() -> None:
    text = "<think>a red one</think>it is red"
    start = text.rindex("red")
    html = last_row(Answer(text, (Region("red", Box(0, 0, 1, 1), span=(start, start + 3)),)))
    assert 'tabindex="0">red</span></p>' in html
    assert "<summary>Thinking</summary><p>a red one</p>" in html


def test_warning_stands_above_with_the_other_model() -> None:
    html = last_row(Answer("text", seen=Seen(note="likely wrong"), model="pebble"))
    assert html.index("likely wrong") < html.index("prose-text")
    assert 'data-model="other"' in html
    assert "Ask Other instead" in html


def test_each_ending_says_what_happened() -> None:
    cut = last_row(Answer("text", finish=Finish.LENGTH))
    assert "Cut at the limit" in cut
    assert 'data-act="continue"' in cut
    assert "Stopped." in last_row(Answer("text", finish=Finish.CANCELLED))
    assert "It &lt;broke&gt;" in last_row(Answer("", finish=Finish.FAILED, error="It <broke>"))


def test_votes_are_pressed() -> None:
    assert last_row(Answer("x"), vote=1).count('aria-pressed="true"') == 1
    assert last_row(Answer("x"), vote=0).count('aria-pressed="true"') == 0


def test_only_the_last_answer_is_asked_again() -> None:
    rows = thread(asked("?"), answered(Answer("one")), asked("?"), answered(Answer("two"))).rows()
    assert ["regenerate" in html for _, html in rows] == [False, False, False, True]


def test_question_without_an_answer_can_be_asked_again() -> None:
    *before, last = thread(asked("?"), answered(Answer("one")), asked("?")).rows()
    assert 'data-act="regenerate">Ask again</button>' in last[1]
    assert not any("Ask again" in html for _, html in before)
    growing = thread(asked("?")).rows_with(Answer(""), "Pebble is looking…")
    assert not any("Ask again" in html for _, html in growing)


def test_growing_answer_shows_its_status_until_the_first_word() -> None:
    waiting = thread(asked("?")).rows_with(Answer(""), "Pebble is looking…")
    assert "Pebble is looking…" in waiting[-1][1]
    growing = thread(asked("?")).rows_with(Answer("It is"), "")
    assert "It is" in growing[-1][1]
    assert "foot" not in growing[-1][1]


def test_answer_of_a_model_that_is_gone_keeps_its_name() -> None:
    assert "Old &lt;model&gt;" in last_row(replace(Answer("x"), model="Old <model>"))


def test_line_under_an_answer_says_what_the_model_saw_and_unfolds_to_its_prompt() -> None:
    seen = Seen((768, 512), 4, 256, "0 to 1000 over the image, x first")
    html = last_row(Answer("x", seen=seen, prompt="<image>Where is <it>?", raw="<box>"))
    summary, folded = html.split("</summary>")
    assert summary.endswith("saw 768 × 512 · 4 tiles · 256 visual tokens")
    assert "0 to 1000 over the image, x first" in folded
    assert "<dt>Prompt</dt><dd><code>&lt;image&gt;Where is &lt;it&gt;?</code>" in folded
    assert "saw 8 × 8 · 1 visual token</summary>" in last_row(Answer("x", seen=Seen((8, 8), 1, 1)))


def test_prompt_of_a_long_chat_is_shown_from_its_end() -> None:
    html = last_row(Answer("x", prompt="a" * 9000 + "the question"))
    assert "the question</code>" in html
    assert len(html) < 6000


def test_model_that_is_offered_instead_can_be_asked_at_once() -> None:
    rows = {
        "far": replace(MODELS["other"], id="far", runs=Runs.SERVER),
        "gated": replace(MODELS["other"], id="gated", gated="https://huggingface.co/a/b"),
        **MODELS,
    }
    messages = (asked("?"), answered(Answer("text", seen=Seen(note="likely wrong"), model="pebble")))
    shown = Conversation("c", "o", "t", ChatSettings("pebble"), messages, NOW, NOW)
    assert 'data-model="other"' in Thread(shown, rows).rows()[-1][1]


# --- answers side by side -----------------------------------------------------------------------

CAR = (Region("car", Box(0, 0, 0.5, 0.5), span=(2, 5)),)


def given_by(*models: str, shown: int = 0) -> Message:
    """Answers of these models to one message, of which one is shown."""
    given = tuple(
        Alternative(Answer(f"a car, says {model}", CAR, model=model, precision="bf16"), 0, at == shown)
        for at, model in enumerate(models)
    )
    return replace(answered(given[shown].answer), alternatives=len(models) - 1, given=given)


def rows_of(*messages: Message, choices: Sequence[Choice] = ()) -> list[str]:
    shown = Conversation("c", "o", "t", ChatSettings("pebble"), messages, NOW, NOW)
    return [html for _, html in Thread(shown, MODELS, {"signs": "Street signs"}, choices).rows()]


QUESTION = asked("?", RED, media=("one",))


def test_answers_of_two_models_stand_side_by_side_each_with_its_picture() -> None:
    html = rows_of(QUESTION, given_by("pebble", "other"))[-1]
    one, other = html.split("<section")[1:]
    assert "Pebble <small>bf16</small>" in one and "Other <small>bf16</small>" in other
    assert 'href="/media/one/answer/a"' in one and 'href="/media/one/answer/a?given=1"' in other
    assert "The chat goes on with this answer" in one and "Continue with this one" not in one
    assert 'data-act="go-on" data-index="1"' in other
    assert 'data-r="a-0"' in one and 'data-r="a.1-0"' in other
    assert ["regenerate" in one, "regenerate" in other] == [True, False]


def test_an_earlier_message_shows_the_answer_that_the_chat_went_on_with() -> None:
    html = rows_of(QUESTION, given_by("pebble", "other"), asked("?"), answered(Answer("two")))[1]
    assert "sides" not in html
    assert "says pebble" in html and "says other" not in html
    assert "<span>1/2</span>" in html


def test_answers_of_the_same_model_have_a_switcher() -> None:
    html = rows_of(QUESTION, given_by("pebble", "pebble", "pebble", shown=1))[-1]
    assert "sides" not in html
    assert "<span>2/3</span>" in html
    places = [
        html.index(f'data-act="choose" title="{title}"') for title in ("Previous answer", "Next answer")
    ]
    assert places == sorted(places)
    assert 'aria-label="Previous answer" data-index="0"' in html
    assert 'aria-label="Next answer" data-index="2"' in html
    first = rows_of(QUESTION, given_by("pebble", "pebble"))[-1]
    assert 'aria-label="Previous answer" disabled' in first
    assert "switcher" not in rows_of(QUESTION, answered(Answer("x")))[-1]


def test_switcher_inside_a_column_counts_its_own_model_only() -> None:
    html = rows_of(QUESTION, given_by("pebble", "other", "pebble", shown=2))[-1]
    assert html.count("<section") == 2
    assert "<span>2/2</span>" in html
    assert 'aria-label="Previous answer" data-index="0"' in html


def test_growing_answer_has_a_column_of_its_own() -> None:
    shown = Conversation("c", "o", "t", ChatSettings("pebble"), (QUESTION, given_by("pebble")), NOW, NOW)
    message = replace(given_by("pebble"), given=())
    thread = Thread(replace(shown, messages=(QUESTION, message)), MODELS)
    waiting = thread.rows_beside(Answer("", model="other"), "Other is loading…")[-1][1]
    assert waiting.count("<section") == 2
    assert "Other is loading…" in waiting.split("<section")[2]
    assert "says pebble" in waiting.split("<section")[1]
    again = Thread(replace(shown, messages=(QUESTION, given_by("pebble", "other"))), MODELS)
    growing = again.rows_beside(Answer("it is", model="other"))[-1][1]
    assert growing.count("<section") == 2
    assert "says other" not in growing


def test_each_answer_names_who_wrote_it_with_precision_and_adapter() -> None:
    html = last_row(Answer("x", model="pebble", precision="nf4", adapter="signs"))
    assert "<summary>Pebble · nf4 · signs · " in html
    message = answered(Answer("x", model="pebble", precision="nf4", adapter="signs"))
    assert "<summary>Pebble · nf4 · Street signs · " in rows_of(QUESTION, message)[-1]


def test_other_models_are_offered_under_the_last_answer_only() -> None:
    choices = [
        Choice("Pebble", "pebble"),
        Choice("Other <b>", "other", note="in words"),
        Choice("X", "x", "a"),
    ]
    rows = rows_of(QUESTION, answered(Answer("1")), QUESTION, given_by("pebble"), choices=choices)
    assert "again-menu" not in rows[1]
    assert 'data-act="again" data-model="other">' in rows[-1]
    assert "<span>Other &lt;b&gt;</span><small>in words</small>" in rows[-1]
    assert 'data-model="x" data-adapter="a">' in rows[-1]
    assert 'data-act="again" data-model="pebble"' not in rows[-1]
    assert "again-menu" not in rows_of(QUESTION, given_by("pebble"))[-1]


def test_offered_models_can_do_the_task_loaded_ones_first() -> None:
    def row(id: str, *tasks: Task, **more: Any) -> Checkpoint:
        return Checkpoint(id, id, "pebble", "", frozenset(tasks), **more)

    rows = [
        row("unknown", Task.DETECT),
        row("finds", Task.DETECT, parameters=1_000_000_000),
        row("talks", Task.CHAT),
        row("completes", Task.CHAT, chat=False),
        row("reads", Task.OCR),
        row("far", Task.DETECT, runs=Runs.SERVER),
        row("large", Task.DETECT, parameters=70_000_000_000),
        row("narrow", Task.DETECT, max_images=1),
        row("gated", Task.DETECT, gated="https://huggingface.co/a/b", parameters=2_500_000_000),
    ]
    found = models(rows, Task.DETECT, 2, ready={"talks"}, room=8_000_000_000)
    assert [(each.model, each.ready, each.note) for each in found] == [
        ("talks", True, "in words"),
        ("finds", False, "1 B"),
        ("gated", False, "2.5 B, licence to accept"),
        ("unknown", False, ""),  # nobody states its size: it may not fit
    ]
