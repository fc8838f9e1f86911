"""Asking a server, by the official `openai` library: one streamed completion, and the list of models.

Requests run as tasks of one event loop in a thread of its own, so that cancelling a task
really closes its connection: the server sees it and stops. Whoever reads does so from an
ordinary thread.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from typing import Any, TypeVar

from vlm_app.errors import AppError, GenerationFailed, ModelUnavailable
from vlm_app.servers import breaker
from vlm_app.servers.faults import fault
from vlm_app.servers.registry import Server, key
from vlm_app.servers.retrying import Patience, retrying

_Result = TypeVar("_Result")
_LIST_SECONDS = 15.0
# What some models refuse by name, and an answer can do without.
_SPARED = ("temperature", "top_p", "seed", "stream_options")


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of an answer: its text, and at the end why it ended and what it took."""

    text: str = ""
    thought: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="servers", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
    return asyncio.run_coroutine_threadsafe(work, _loop())


def models(server: Server) -> list[str]:
    """The ids of the models that a server has. Raises `ModelUnavailable`."""
    asking = _run(_models(server))
    try:
        return asking.result(2 * _LIST_SECONDS)
    except TimeoutError:  # not even its own time limit ended it
        asking.cancel()
    raise ModelUnavailable(f"The server '{server.name}' did not say in time which models it has: try again.")


async def _models(server: Server) -> list[str]:
    begun = time.monotonic()
    try:
        async with _client(server, Patience()) as client, asyncio.timeout(_LIST_SECONDS):
            ids = [str(model.id) async for model in client.models.list()]
    except Exception as error:  # noqa: BLE001 - every fault of a foreign server becomes a sentence
        said = fault(error, server)
    else:
        breaker.answered(server.name, time.monotonic() - begun)
        return ids
    # Outside the handler: the library's error holds the request, and with it the key.
    breaker.failed(server.name, said.sentence, said.broken)
    raise said.error()


class Completion:
    """One answer of a server as it comes. A context manager: leaving it aborts the request."""

    def __init__(self, server: Server, body: dict[str, Any], patience: Patience | None = None) -> None:
        self._server = server
        self._body = body
        self._patience = patience or Patience()
        self._arrived: queue.SimpleQueue[Said | AppError | None] = queue.SimpleQueue()
        self._task: Future[None] | None = None
        self.first_at: float | None = None  # time.monotonic()
        self.left_out: tuple[str, ...] = ()  # fields that the server would not take

    def __enter__(self) -> Completion:
        breaker.check(self._server.name)
        self._task = _run(self._ask())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()

    def pieces(self, beat: float) -> Iterator[Said]:
        """What the server says; an empty piece when nothing came for `beat` seconds.

        Raises the `AppError` with which it ended.
        """
        while True:
            try:
                arrived = self._arrived.get(timeout=beat)
            except queue.Empty:
                yield Said()
                continue
            if isinstance(arrived, AppError):
                raise arrived
            if arrived is None:
                return
            yield arrived

    # --- in the loop ----------------------------------------------------------------------

    async def _ask(self) -> None:
        ended: AppError | None = GenerationFailed(
            f"The server '{self._server.name}' could not be heard by a fault in the app: ask again."
        )
        begun = time.monotonic()
        try:
            async with _client(self._server, self._patience) as client:
                stream = await retrying(lambda: self._opened(client), self._server, self._patience)
                async for said in self._said(stream):
                    if self.first_at is None:
                        self.first_at = time.monotonic()
                        breaker.answered(self._server.name, self.first_at - begun)
                    self._arrived.put(said)
            ended = None
        except Exception as error:  # noqa: BLE001 - every fault of a foreign server becomes a sentence
            said_of_it = fault(error, self._server, begun=self.first_at is not None)
            breaker.failed(self._server.name, said_of_it.sentence, said_of_it.broken)
            ended = said_of_it.error()
        finally:  # whatever it was, nobody may wait for ever
            self._arrived.put(ended)

    async def _opened(self, client: Any) -> tuple[Any, Any]:
        """The stream and its first chunk that says anything: until then nothing was shown, and it may be
        tried again. Some servers send one that only names the role before they read the question."""
        from openai import APIStatusError

        while True:
            body = {name: value for name, value in self._body.items() if name not in self.left_out}
            try:
                async with asyncio.timeout(self._patience.first_token):
                    chunks = aiter(await client.chat.completions.create(**body, stream=True))
                    while (chunk := await anext(chunks, None)) is not None and _read(chunk) == Said():
                        pass
                    return chunks, chunk
            except APIStatusError as error:
                refused = [name for name in _SPARED if name in body and name in str(error.body)]
                if error.status_code not in (400, 422) or not refused:
                    raise
                self.left_out += tuple(refused)

    async def _said(self, opened: tuple[Any, Any]) -> AsyncIterator[Said]:
        chunks, chunk = opened
        finished = False
        while chunk is not None:
            said = _read(chunk)
            finished = finished or bool(said.finish)
            yield said
            try:
                async with asyncio.timeout(self._patience.stall):
                    chunk = await anext(chunks, None)
            except Exception:
                if finished:  # the answer is whole: only its counts could have followed
                    return
                raise
        if not finished:
            raise EOFError("the stream ended without its reason")


def _read(chunk: Any) -> Said:
    """A chunk as we know it; servers leave out much, and add more."""
    usage = getattr(chunk, "usage", None)
    said = Said(
        prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        completion_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
    )
    choices = getattr(chunk, "choices", None)
    if not choices:
        return said
    delta = choices[0].delta
    thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
    return replace(
        said,
        text=(getattr(delta, "content", None) or "") if delta else "",
        thought=thought if isinstance(thought, str) else "",
        finish=choices[0].finish_reason or "",
    )


def _client(server: Server, patience: Patience) -> Any:
    from openai import AsyncOpenAI, Timeout

    client = AsyncOpenAI(
        base_url=server.url,
        api_key=key(server) or "none",  # the library wants one
        max_retries=0,  # ours: they are told of, and end with Stop
        timeout=Timeout(None, connect=patience.connect),
    )
    # The library adds what the environment holds for OpenAI, keys of gateways too, to any server's requests.
    client.organization = client.project = None
    client._custom_headers = {}
    return client
