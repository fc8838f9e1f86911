"""Conversations about images: asking, answering again, editing, keeping, exporting.

No page and no HTTP here. Everything is done for an owner; another owner's ids are `NotFound`.
"""

from vlm_app.chat.chats import Chats
from vlm_app.chat.conversation import (
    Alternative,
    ChatSettings,
    Conversation,
    How,
    Message,
    Progress,
    Summary,
    Taught,
)
from vlm_app.chat.stream import Answers
from vlm_app.chat.taking import Taking, able
from vlm_app.chat.thinking import split_thinking
from vlm_app.families.plain import task_in_words

__all__ = [
    "Alternative",
    "Answers",
    "ChatSettings",
    "Chats",
    "Conversation",
    "How",
    "Message",
    "Progress",
    "Summary",
    "Taking",
    "Taught",
    "able",
    "split_thinking",
    "task_in_words",
]
