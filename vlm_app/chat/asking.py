"""From what a user gave to a request: checks, and the conversation as the model gets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from vlm_app import families, limits
from vlm_app.chat.conversation import ChatSettings, Conversation, Message
from vlm_app.chat.taking import Find, Taking
from vlm_app.chat.thinking import split_thinking
from vlm_app.engine import can
from vlm_app.errors import AppError, BadInput, ModelUnavailable, NotFound, TooMuch
from vlm_app.families.plain import task_in_words
from vlm_app.store import writable
from vlm_app.types import Answer, Part, Picture, Request, Role, StillPart, Task, Turn

MOST_TEXT = 1_000_000  # characters of a message; the page takes no more either


def checked_parts(owner: str, parts: Sequence[StillPart], task: Task) -> tuple[StillPart, ...]:
    """The parts without blank texts. Raises `BadInput` when nothing is left to answer, or too much."""
    kept = tuple(
        part if isinstance(part, Picture) else writable(part)
        for part in parts
        if isinstance(part, Picture) or part.strip()
    )
    images = sum(1 for part in kept if isinstance(part, Picture))
    if not kept and task is Task.CHAT:
        raise BadInput("The message is empty: write a question or add an image.")
    if (text := sum(len(part) for part in kept if isinstance(part, str))) > MOST_TEXT:
        raise TooMuch(
            f"The message holds {text:,} characters, at most {MOST_TEXT:,} are taken: send it in parts."
        )
    most = limits.of(owner).images
    if images > most:
        raise BadInput(
            f"The message holds {images} images, at most {most} are taken: "
            f"remove {images - most}, or send them in several messages."
        )
    return kept


def check_images(find: Find, model: str, task: Task, counts: Sequence[int]) -> None:
    """Raises `BadInput` when the conversation has no image where one is needed, or its last
    message more than the model takes. `counts` are the images of the user's messages."""
    if sum(counts) == 0 and task is not Task.CHAT:
        raise BadInput(f"'{task.replace('_', ' ').capitalize()}' needs an image: add one to the message.")
    Taking.of(find, model).check(counts[-1])


def in_words(find: Find, model: str, message: Message) -> Message:
    """A user's message as a model can be asked it: in words where it lacks the message's task.

    An unknown model is no matter here: the engine names the known ones.
    """
    try:
        row = find(model)
    except ModelUnavailable:
        return message
    if can(row, message.task) or message.task is Task.CHAT:
        return message
    words = task_in_words(message.task, message.query)
    turn = Turn(Role.USER, (*message.turn.pictures, words))
    return replace(message, turn=turn, task=Task.CHAT, query="")


def request_of(
    find: Find, conversation: Conversation, chosen: ChatSettings, resumed: Answer | None = None
) -> Request:
    """The conversation as a request that asks for an answer to its last message, a user's.

    `resumed` is the cut answer to go on from: it becomes the last turn. What the model does not
    take is left out. All images are decoded here, before several threads share them.
    """
    asked = conversation.messages[-1]
    turns = _turns(find, conversation, chosen)
    if asked.task is not Task.CHAT:
        # Its words come from the family; a text left over here would be taken for the query.
        turns[-1] = Turn(Role.USER, turns[-1].pictures)
    if resumed is not None:
        turns.append(Turn(Role.ASSISTANT, (_own(resumed, chosen) or resumed.text,)))
    if system := chosen.system.strip():
        turns.insert(0, Turn(Role.SYSTEM, (system,)))
    request = Request(
        turns=tuple(turns),
        model=chosen.model,
        task=asked.task,
        query=asked.query,
        precision=chosen.precision,
        adapter=chosen.adapter,
        sampling=chosen.sampling,
        pixels=chosen.pixels,
        owner=conversation.owner,
    )
    _decode(request.pictures)
    return request


def kept_images(find: Find, conversation: Conversation, model: str) -> range:
    """Which of the conversation's images a model gets with its last message."""
    return Taking.of(find, model).kept(image_counts(conversation))


def image_counts(conversation: Conversation) -> list[int]:
    """How many images each of the user's messages has."""
    return [len(each.turn.pictures) for each in conversation.messages if each.turn.role is Role.USER]


def _turns(find: Find, conversation: Conversation, chosen: ChatSettings) -> list[Turn]:
    """What the chosen model reads of the conversation."""
    *past, asked = conversation.messages
    kept = kept_images(find, conversation, chosen.model)
    if not Taking.of(find, chosen.model).past:
        pictures = conversation.pictures[kept.start : kept.stop]
        earlier = () if asked.turn.pictures else pictures
        return [Turn(Role.USER, (*earlier, *asked.turn.parts))]
    turns = [*(_turn(find, chosen, message) for message in past), asked.turn]
    return _merged(_without_others(turns, kept))


def _without_others(turns: Iterable[Turn], kept: range) -> Iterator[Turn]:
    """The turns without the images that are not kept."""
    at = 0
    for turn in turns:
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, Picture):
                at += 1
                if at - 1 not in kept:
                    continue
            parts.append(part)
        yield Turn(turn.role, tuple(parts))


def _decode(pictures: Iterable[Picture]) -> None:
    try:
        for picture in pictures:
            picture.pixels.load()
    except OSError as error:
        raise NotFound(
            "An image of this chat is missing from the data folder or damaged: start a new chat with it."
        ) from error


def _turn(find: Find, chosen: ChatSettings, message: Message) -> Turn:
    if message.answer is not None:
        return Turn(Role.ASSISTANT, (_written(message.answer, chosen),))
    if message.task is Task.CHAT:
        return message.turn
    # What was asked by a button has no words of its own: those that the model is asked with.
    return Turn(Role.USER, (*message.turn.pictures, _prompt(find, chosen.model, message)))


def _written(answer: Answer, chosen: ChatSettings) -> str:
    """An earlier answer as the model reads it: its own with its markup, another's as plain text.

    A family writes regions in a markup of its own, which it should see again and no other family
    can read. What another model thought aloud is left out.
    """
    return _own(answer, chosen) or split_thinking(answer.text)[1]


def _own(answer: Answer, chosen: ChatSettings) -> str:
    """The raw answer if the chosen model wrote it. One that was broken off has none."""
    return answer.raw if answer.model == chosen.model else ""


def _prompt(find: Find, model: str, message: Message) -> str:
    try:
        return families.get(find(model).family).ask(message.task, message.query)
    except AppError:  # this family cannot be asked that: plain words do for what is past
        return f"{message.task.replace('_', ' ').capitalize()} {message.query}".strip()


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    """The turns with roles alternating, as chat templates want them: an answer without a word
    (it failed) is left out, and the user's messages around it become one. No image is lost,
    because regions count them."""
    merged: list[Turn] = []
    for turn in turns:
        if turn.role is Role.ASSISTANT and not turn.text:
            continue
        if merged and merged[-1].role is turn.role:
            turn = Turn(turn.role, merged.pop().parts + turn.parts)
        merged.append(turn)
    return merged
