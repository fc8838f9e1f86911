"""Chats as files: out, in again, and what strangers put into them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chat.fake_engine import FakeEngine, Refusal
from tests.chat.helpers import OWNER, answer_of, last, picture, said
from vlm_app.chat import Alternative, Chats, ChatSettings, Conversation, exchange
from vlm_app.errors import BadInput
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import (
    Box,
    Finish,
    Mask,
    Point,
    Polygon,
    Region,
    Sampling,
    Task,
)

REGIONS = (
    Region("red circle", Box(0.1, 0.2, 0.3, 0.4), image=1, score=0.5, span=(2, 12)),
    Region("star", Point(0.25, 0.75), text="★"),
    Region("area", Polygon((Point(0, 0), Point(1, 0), Point(0.5, 1)))),
    Region("mask", Mask(Box(0, 0, 1, 1), (3, 2), b"\0\1\1\0\0\1")),
)


@pytest.fixture
def chat(chats: Chats, engine: FakeEngine) -> Conversation:
    """Two images in one message, one of them again later, a vote, alternatives, a failure, a task."""
    engine.regions = REGIONS
    chosen = ChatSettings("two-images", "Be brief.", Sampling(0.5, 0.9, 64, 7), Task.DETECT, 65_536)
    new = replace(chats.new(OWNER), settings=replace(chosen, model="pebble"))
    shown = said(chats, "one:", picture("red"), "two:", picture("blue", (40, 30)), "Über 😀?", to=new)
    chats.vote(OWNER, shown.id, shown.messages[1].id, -1)
    last(chats.regenerate(OWNER, shown.id))
    chats.vote(OWNER, shown.id, shown.messages[1].id, 1)
    shown = said(chats, picture("red"), to=shown, task=Task.POINT, query="star")
    engine.refuses = Refusal("Too large.")
    said(chats, "And?", to=shown)
    engine.refuses = None
    return chats.configure(OWNER, shown.id, chosen)


def alternatives(chats: Chats, chat: Conversation) -> list[tuple[Alternative, ...]]:
    answers = [message.id for message in chat.messages if message.answer is not None]
    return [chats.alternatives(chat.owner, chat.id, message) for message in answers]


def exported(chats: Chats, chat: Conversation) -> dict[str, Any]:
    file = json.loads(chats.export_json(chat.owner, chat.id))
    assert isinstance(file, dict)
    return file


# --- there and back -------------------------------------------------------------------------


def test_an_exported_chat_comes_back_whole_for_another_person(
    chats: Chats, chat: Conversation, store: Store
) -> None:
    back = chats.import_json("bob", chats.export_json(OWNER, chat.id))
    assert (back.owner, back.title, back.settings, back.created) == (
        "bob",
        chat.title,
        chat.settings,
        chat.created,
    )
    assert len(back.messages) == len(chat.messages) == 6
    for new, old in zip(back.messages, chat.messages, strict=True):
        assert replace(new, id="", media=()) == replace(old, id="", media=())
        assert new.id != old.id
        assert not set(new.media) & set(old.media)
    assert answer_of(back.messages[1]).regions == REGIONS
    assert [image.pixels.tobytes() for image in back.pictures] == [
        image.pixels.tobytes() for image in chat.pictures
    ]
    assert alternatives(chats, back) == alternatives(chats, chat)
    assert chats.list("bob")[0].id == back.id
    assert exported(chats, back) == exported(chats, chat)


def test_an_image_larger_as_png_than_an_upload_may_be_comes_back(
    chats: Chats, chat: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small JPEG is a large PNG: what was exported is taken back all the same."""
    data = chats.export_json(OWNER, chat.id)
    monkeypatch.setenv("VLM_APP_MAX_BYTES", "10")
    settings.cache_clear()
    assert len(chats.import_json("somebody else", data).pictures) == len(chat.pictures)


def test_an_imported_chat_goes_on(chats: Chats, chat: Conversation, engine: FakeEngine) -> None:
    back = chats.import_json(OWNER, chats.export_json(OWNER, chat.id))
    chats.configure(OWNER, back.id, ChatSettings("pebble"))
    shown = last(chats.regenerate(OWNER, back.id)).conversation
    assert answer_of(shown.messages[5]).finish is Finish.STOP
    assert len(engine.requests[-1].pictures) == 3


def test_an_image_is_in_the_file_once_and_no_id_or_owner_at_all(chats: Chats, chat: Conversation) -> None:
    file = exported(chats, chat)
    assert (file["format"], file["version"]) == ("vlm-app chat", 1)
    assert len(file["images"]) == 2
    assert [part.get("image") for part in file["messages"][0]["parts"]] == [None, 0, None, 1, None]
    text = json.dumps(file)
    for secret in (chat.id, chat.owner, *chat.media, *(message.id for message in chat.messages)):
        assert f'"{secret}"' not in text


def test_a_model_that_is_not_here_gives_way_to_the_default(chats: Chats, chat: Conversation) -> None:
    file = exported(chats, chat)
    file["settings"]["model"] = "elsewhere"
    assert chats.import_json(OWNER, json.dumps(file).encode()).settings.model == settings().model


# --- what strangers put into it -------------------------------------------------------------

Change = Callable[[dict[str, Any]], object]


def _answer(file: dict[str, Any]) -> dict[str, Any]:
    answer = file["messages"][1]["answers"][1]["answer"]
    assert isinstance(answer, dict)
    return answer


def _mask(size: int) -> dict[str, Any]:
    shape = {"box": [0, 0, 1, 1], "size": [size, size], "runs": [size * size]}
    return {"label": "x", "kind": "mask", "mask": shape}


HOSTILE: dict[str, tuple[Change, str]] = {
    "newer": (lambda file: file.update(version=2), "version 2.*update the app"),
    "no version": (lambda file: file.pop("version"), "version None"),
    "another format": (lambda file: file.update(format="coco"), "not a chat"),
    "no messages": (lambda file: file.update(messages=[]), "messages"),
    "a system message": (lambda file: file["messages"][0].update(role="system"), "messages › 0"),
    "an answer first": (lambda file: file["messages"].pop(0), "answer without a question"),
    "two answers": (
        lambda file: file["messages"].insert(1, file["messages"][1]),
        "answer without a question",
    ),
    "an empty message": (lambda file: file["messages"][4].update(parts=[{"text": " "}]), "empty"),
    "an image that is not there": (
        lambda file: file["messages"][0]["parts"].append({"image": 9}),
        "image 10, and the file has 2",
    ),
    "an image that is none": (
        lambda file: file["images"][1].update(png=base64.b64encode(b"<svg/>").decode()),
        "image 2 of the file",
    ),
    "no base64": (lambda file: file["images"][1].update(png="abc"), "images › 1 › png"),
    "too many images": (lambda file: file["images"].extend(file["images"] * 100), "images"),
    "too many in a message": (
        lambda file: file["messages"][0]["parts"].extend([{"image": 0}] * 9),
        "11 images, at most 8",
    ),
    "a region nowhere": (
        lambda file: _answer(file)["regions"][0].update(image=2),
        "on an image that comes later",
    ),
    "a region off the image": (lambda file: _answer(file)["regions"][0].update(box=[0, 0, 2, 2]), "region"),
    "a region at 1e400": (
        lambda file: _answer(file)["regions"][0].update(box=[0, 0, 1, 10**400]),
        "cannot be read",
    ),
    "a span past the text": (lambda file: _answer(file)["regions"][0].update(span=[0, 999]), "999"),
    "huge masks": (lambda file: _answer(file).update(regions=[_mask(5_000)] * 9), "200 million pixels"),
    "regions that are no list": (lambda file: _answer(file).update(regions=7), "regions"),
    "an answer of another version": (lambda file: _answer(file).update(version=9), "version"),
    "no answer shown": (lambda file: file["messages"][1]["answers"][1].update(shown=False), "exactly one"),
    "a vote of 100": (lambda file: file["messages"][1]["answers"][0].update(vote=100), "vote"),
    "a date before time": (lambda file: file.update(created="0001-01-01T00:00:00+14:00"), "created"),
    "an impossible temperature": (
        lambda file: file["settings"]["sampling"].update(temperature=99),
        "sampling",
    ),
    "half a character": (lambda file: file.update(title="\ud83d"), "JSON|title"),
    "settings that are none": (lambda file: file.update(settings={}), "model"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_is_refused_with_a_sentence_and_leaves_nothing(
    chats: Chats, chat: Conversation, store: Store, name: str
) -> None:
    change, complaint = HOSTILE[name]
    file = exported(chats, chat)
    change(file)
    before = sorted(store.data.rglob("*.png"))
    with pytest.raises(BadInput, match=complaint) as refusal:
        chats.import_json("bob", json.dumps(file).encode())
    assert len(refusal.value.sentence) < 400
    assert "pydantic" not in refusal.value.sentence
    assert chats.list("bob") == ()
    assert sorted(store.data.rglob("*.png")) == before


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not JSON"),
        (b"\x89PNG", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a chat"),
        (b'{"format": "vlm-app chat", "version": ' + b"9" * 3_000 + b"}", "version 99999"),
        (b'{"format": "vlm-app chat", "version": 1}', "title"),
    ],
)
def test_a_file_that_is_no_chat_is_refused(chats: Chats, data: bytes, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        chats.import_json(OWNER, data)


def test_a_file_that_is_too_large_is_not_even_read(chats: Chats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MOST_BYTES", 1_000_000)
    with pytest.raises(BadInput, match="has 2 MB, at most 1 MB"):
        chats.import_json(OWNER, b"{" * 2_000_000)


def test_ids_and_owners_in_a_file_mean_nothing(chats: Chats, chat: Conversation) -> None:
    file = exported(chats, chat) | {"id": chat.id, "owner": OWNER}
    file["messages"][0] |= {"id": chat.messages[0].id, "media": list(chat.media)}
    back = chats.import_json("bob", json.dumps(file).encode())
    assert (back.owner, back.id != chat.id) == ("bob", True)
    assert chats.open(OWNER, chat.id).messages == chat.messages


# --- Markdown -------------------------------------------------------------------------------


def test_a_chat_reads_well_as_markdown(chats: Chats, chat: Conversation) -> None:
    text = re.sub(r"\(data:image/webp;base64,[^)]{20,}\)", "(data)", chats.export_markdown(OWNER, chat.id))
    assert text.startswith(
        """# one: two: Über 😀?

## You

one:

![image 1](data)

two:

![image 2](data)

Über 😀?

## pebble

a red circle on white

- red circle: box (0.100, 0.200, 0.300, 0.400) on image 2
- star: point (0.250, 0.750) on image 1
"""
    )
    assert "![image 3](data)\n\n*Point: star*" in text
    assert text.endswith("And?\n\n## pebble\n\n*Too large.*\n")


def test_images_in_markdown_are_small(chats: Chats) -> None:
    shown = said(chats, picture(size=(3_000, 1_000)))
    assert len(chats.export_markdown(OWNER, shown.id)) < 20_000


def test_nothing_in_a_markdown_file_is_fetched_or_run(chats: Chats, engine: FakeEngine) -> None:
    engine.words, engine.regions = ["![x](https://elsewhere/?q=1) ", "<img src=//elsewhere> <script>"], ()
    shown = said(chats, "<iframe src=//elsewhere> a < b", "![x][1]\n\n[1]: //elsewhere")
    chats.rename(OWNER, shown.id, "<b>![x](//y)")
    text = chats.export_markdown(OWNER, shown.id)
    assert re.findall(r"(?<!\\)<\w|(?<!\\)!\[", text) == []
    assert "a < b" in text


def test_thinking_is_quoted_and_an_early_end_is_said(chats: Chats, engine: FakeEngine) -> None:
    engine.words, engine.regions, engine.limit = ["<think>Hm.</think>", "A cat", "!"], (), 2
    shown = said(chats, "Hi")
    assert chats.export_markdown(OWNER, shown.id).endswith("> Hm.\n\nA cat\n\n*(cut at the limit)*\n")
