"""A press that comes while the answer to another one ends is answered, too.

Gradio tells a tab what becomes of its presses by a stream of events, which the server ends when nothing
is pending; for the next press the client opens another one. A press that the server takes after it has
ended the stream, and of which the client hears before that end, would wait in a stream that nobody opens.
So the client numbers its streams, the answer to each press says which of them have ended, and the client
(`assets/streams.js`) hears of the end first.
"""

from __future__ import annotations

from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAM = "x-stream"  # of a request: the tab and the number of its latest stream, as in 'f3a1.7'
ENDED = "x-stream-ended"  # of an answer: the number of the tab's last stream that has ended
MOST_TABS = 10_000  # that are remembered; a tab needs it for as long as an answer is on its way
LONGEST = 80  # characters of a tab's name
_END = b'"msg":"close_stream"'  # what a visitor wrote has its quotation marks escaped


class Streams:
    """Notes which streams have ended, and says so. Plain ASGI; it stands inside of everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._ended: OrderedDict[tuple[str, str], int] = OrderedDict()  # by owner and tab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tab, number = _named(scope) if scope["type"] == "http" else ("", 0)
        path = str(scope.get("path", ""))
        if not tab or not path.endswith(("/queue/data", "/queue/join")):
            await self.app(scope, receive, send)
            return
        key = (str(scope.get("state", {}).get("owner")), tab)

        async def listening(message: Message) -> None:
            if _END in message.get("body", b""):
                self._end(key, number)
            await send(message)

        async def pressing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[ENDED] = str(self._ended.get(key, 0))
            await send(message)

        await self.app(scope, receive, listening if path.endswith("data") else pressing)

    def _end(self, key: tuple[str, str], number: int) -> None:
        self._ended[key] = max(number, self._ended.pop(key, 0))
        if len(self._ended) > MOST_TABS:
            self._ended.popitem(last=False)


def _named(scope: Scope) -> tuple[str, int]:
    """The tab that a request names and the number of its stream; '' where it names none."""
    tab, _, number = Headers(scope=scope).get(STREAM, "").rpartition(".")
    return (tab, int(number)) if len(tab) <= LONGEST and number.isdecimal() and len(number) < 9 else ("", 0)
