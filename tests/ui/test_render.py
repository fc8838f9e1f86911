"""A conversation as rows of HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from PIL import Image

from vlm_app.chat import ChatSettings, Conversation, Message
from vlm_app.media import picture_from
from vlm_app.types import Answer, Box, Checkpoint, Finish, Part, Region, Role, Runs, Seen, Task, Turn
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
