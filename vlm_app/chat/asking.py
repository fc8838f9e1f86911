"""From what a user gave to a request: checks, and the conversation as the model gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from vlm_app import families
from vlm_app.chat.conversation import ChatSettings, Conversation, Message
from vlm_app.chat.thinking import split_thinking
from vlm_app.errors import AppError, BadInput, ModelUnavailable, NotFound
from vlm_app.settings import settings
from vlm_app.types import Answer, Checkpoint, Part, Picture, Request, Role, Task, Turn

Find = Callable[[str], Checkpoint]


def checked_parts(parts: Sequence[Part], task: Task) -> tuple[Part, ...]:
    """The parts without blank texts. Raises `BadInput` when nothing is left to answer, or too much."""
    kept = tuple(
        part if isinstance(part, Picture) else writable(part)
        for part in parts
        if isinstance(part, Picture) or part.strip()
    )
    images = sum(1 for part in kept if isinstance(part, Picture))
    if not kept and task is Task.CHAT:
        raise BadInput("The message is empty: write a question or add an image.")
    if images > settings().max_images:
        raise BadInput(
            f"The message holds {images} images, at most {settings().max_images} are taken: "
            f"remove {images - settings().max_images}, or send them in several messages."
        )
    return kept


def writable(text: str) -> str:
    """The text with '?' for halves of characters (lone surrogates), which cannot be written anywhere."""
    return text.encode("utf-8", "replace").decode("utf-8")


def check_images(find: Find, model: str, task: Task, images: int) -> None:
    """Raises `BadInput` when the conversation has no image where one is needed, or more than
    the model takes. An unknown model is no matter here: the engine names the known ones."""
    if images == 0 and task is not Task.CHAT:
        raise BadInput(f"'{task.replace('_', ' ').capitalize()}' needs an image: add one to the message.")
    try:
        checkpoint = find(model)
    except ModelUnavailable:
        return
    most = checkpoint.max_images
    if most is not None and images > most:
        raise BadInput(
            f"{checkpoint.name} takes {_counted(most)} in a conversation, this one would hold {images}: "
            "start a new chat, leave some out, or choose another model."
        )


def _counted(images: int) -> str:
    return "1 image" if images == 1 else f"{images} images"


def request_of(find: Find, conversation: Conversation, resumed: Answer | None = None) -> Request:
    """The conversation as a request that asks for an answer to its last message, a user's.

    `resumed` is the cut answer to go on from: it becomes the last turn. All images are decoded
    here, before several threads share them.
    """
    chosen = conversation.settings
    *past, asked = conversation.messages
    turns = _merged([*(_turn(find, chosen, message) for message in past), asked.turn])
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
        sampling=chosen.sampling,
        pixels=chosen.pixels,
    )
    _decode(request.pictures)
    return request


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
