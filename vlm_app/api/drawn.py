"""Which regions an answer drew on which picture."""

from __future__ import annotations

from sqlalchemy import select

from vlm_app.chat import Chats
from vlm_app.errors import NotFound
from vlm_app.store import Store
from vlm_app.store.tables import MessageRow
from vlm_app.types import Region


def regions_of(
    store: Store, chats: Chats, owner: str, message_id: str, media_id: str, given: int | None = None
) -> tuple[Region, ...]:
    """The regions of one of the owner's answers that lie on this picture: of the one that is shown,
    or of that number among all that were given to the same message. Raises NotFound."""
    with store.reading() as session:
        chat = session.scalar(select(MessageRow.conversation_id).filter_by(owner=owner, id=message_id))
    if chat is None:
        raise NotFound("This answer does not exist or is not yours.")
    conversation = chats.open(owner, chat)
    media = conversation.media
    for message in conversation.messages:
        if message.id == message_id and message.answer is not None:
            one = given is not None and given < len(message.given)
            regions = (message.given[given or 0].answer if one else message.answer).regions
            return tuple(
                each for each in regions if each.image < len(media) and media[each.image] == media_id
            )
    raise NotFound("This answer is not shown any more: open its chat and follow its own link.")
