"""What each tab shows: an answer that is being written goes to the tabs that show its chat, or its sheet."""

from __future__ import annotations

import threading
from collections import OrderedDict

UNKNOWN = "unknown"  # no chat has such an id
_MOST = 10_000  # tabs; the one that was not heard of for the longest time is forgotten


class Shown:
    """The ids of chats, or of the workbench's sheets, by tab; '' is a new one. A tab that is not known shows
    what it says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._chats: OrderedDict[str, str] = OrderedDict()

    def show(self, tab: str, chat: str) -> None:
        """From now on this tab shows this chat."""
        if not tab:  # a program without a tab
            return
        with self._lock:
            self._chats[tab] = chat
            self._chats.move_to_end(tab)
            while len(self._chats) > _MOST:
                self._chats.popitem(last=False)

    def first(self, tab: str, chat: str) -> bool:
        """The page was opened with this chat; False where the tab shows something by now."""
        known = self.of(tab, UNKNOWN) is not UNKNOWN
        if not known:
            self.show(tab, chat)
        return not known

    def begin(self, tab: str, before: str, chat: str) -> None:
        """Something is asked in a tab that showed `before`: it shows `chat`, if nothing else by now."""
        if self.of(tab, before) == before:
            self.show(tab, chat)

    def of(self, tab: str, otherwise: str) -> str:
        """What a tab shows; `otherwise` where it is not known."""
        with self._lock:
            return self._chats.get(tab, otherwise)
