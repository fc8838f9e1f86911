"""A press that comes while the answer to another one ends is answered, too.

Gradio tells a tab what becomes of its presses by a stream of events, which the server ends when nothing
is pending; for the next press the client opens another one. A press that the server takes after it has
ended the stream, and of which the client hears before that end, would wait in a stream that nobody opens.
So the client numbers its streams, the answer to each press says which of them have ended, and the client
(`assets/streams.js`) hears of the end first.

As long as a stream lasts, a tab has yet to hear the end of what it pressed: the app ends after that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAM = "x-stream"  # of a request: the tab and the number of its latest stream, as in 'f3a1.7'
ENDED = "x-stream-ended"  # of an answer: the number of the tab's last stream that has ended
MOST_TABS = 10_000  # that are remembered; a tab needs it for as long as an answer is on its way
LONGEST = 80  # characters of a tab's name
_END = b'"msg":"close_stream"'  # what a visitor wrote has its quotation marks escaped


class Streams:
    """Notes which streams have ended, and says so. Plain ASGI; it stands inside of everything else."""

    def __init__(self, app: ASGIApp, listening: Callable[[], AbstractContextManager[None]]) -> None:
        """`listening` is entered for as long as a tab listens."""
        self.app = app
        self._listening = listening
        self._ended: OrderedDict[tuple[str, str], int] = OrderedDict()  # by owner and tab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "")) if scope["type"] == "http" else ""
        if path.endswith("/queue/data"):
            with self._listening():
                await self.app(scope, receive, self._noting(scope, send))
        elif path.endswith("/queue/join"):
            await self.app(scope, receive, self._saying(scope, send))
        else:
            await self.app(scope, receive, send)

    def _noting(self, scope: Scope, send: Send) -> Send:
        """Sends a stream's events, and notes its end."""
        key, number = _named(scope)

        async def noting(message: Message) -> None:
            if number and _END in message.get("body", b""):
                self._end(key, number)
            await send(message)

        return noting

    def _saying(self, scope: Scope, send: Send) -> Send:
        """Sends the answer to a press, which says what has ended."""
        key, _ = _named(scope)

        async def saying(message: Message) -> None:
            if key[1] and message["type"] == "http.response.start":
                MutableHeaders(scope=message)[ENDED] = str(self._ended.get(key, 0))
            await send(message)

        return saying

    def _end(self, key: tuple[str, str], number: int) -> None:
        self._ended[key] = max(number, self._ended.pop(key, 0))
        if len(self._ended) > MOST_TABS:
            self._ended.popitem(last=False)


def _named(scope: Scope) -> tuple[tuple[str, str], int]:
    """The owner and the tab of a request, and the number of its stream; '' and 0 where it names none."""
    tab, _, number = Headers(scope=scope).get(STREAM, "").rpartition(".")
    named = 0 < len(tab) <= LONGEST and number.isdecimal() and len(number) < 9
    return (str(scope.get("state", {}).get("owner")), tab if named else ""), int(number) if named else 0
