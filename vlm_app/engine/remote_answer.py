"""An answer of a model on a server, read by the same family as one of a model here."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from vlm_app import servers
from vlm_app.engine.checks import asked_turns
from vlm_app.engine.local_answer import BEAT
from vlm_app.engine.reading import Reading
from vlm_app.engine.states import ModelState
from vlm_app.errors import AppError, BadInput, GenerationFailed
from vlm_app.families import Family
from vlm_app.servers import Completion, Said, Server
from vlm_app.types import Answer, Checkpoint, Delta, Finish, Request, Role, Timings, Turn, Usage


class RemoteAnswer:
    """One answer on its way from a server."""

    def __init__(
        self, request: Request, checkpoint: Checkpoint, family: Family, stop: threading.Event
    ) -> None:
        self._request = request
        self._checkpoint = checkpoint
        self._family = family
        self._stop = stop
        self._began = time.monotonic()
        self._completion: Completion | None = None
        self._usage = Usage()
        self._thinking = False
        self._reading = Reading(request, checkpoint, family)

    @property
    def finish(self) -> Finish:
        return self._reading.finish

    @property
    def tokens(self) -> int:
        return self._usage.completion_tokens

    def run(self) -> Generator[Delta]:
        """Send, read, and abort the request when nobody reads any more."""
        server = servers.find(self._checkpoint.server)
        body = self._body(server)
        self._reading.resume()
        failure: AppError | None = None
        try:
            with Completion(server, body) as completion:
                self._completion = completion
                yield from self._read(completion)
        except AppError as error:
            failure = error
        if isinstance(failure, GenerationFailed):
            self._reading.finish = Finish.FAILED
            yield replace(self._reading.delta(whole=True), answer=self._answer(failure.sentence))
        if failure is not None:
            raise failure
        if completion.left_out:
            fields = ", ".join(completion.left_out)
            note = f"{self._reading.seen.note} It does not take: {fields}.".strip()
            self._reading.seen = replace(self._reading.seen, note=note)
        yield replace(self._reading.delta(whole=True), answer=self._answer())

    def _read(self, completion: Completion) -> Generator[Delta]:
        for said in completion.pieces(BEAT):
            if self._stop.is_set():
                return
            self._take(said)
            yield self._reading.delta()

    def _take(self, said: Said) -> None:
        reading = self._reading
        if said.thought:
            reading.raw += said.thought if self._thinking else f"<think>{said.thought}"
            self._thinking = True
        if self._thinking and (said.text or said.finish):
            reading.raw += "</think>"
            self._thinking = False
        reading.raw += said.text
        if said.completion_tokens or said.prompt_tokens:
            self._usage = Usage(said.prompt_tokens, said.completion_tokens)
        if said.finish:
            reading.finish = Finish.LENGTH if said.finish == "length" else Finish.STOP
        end = self._family.end
        if reading.finish is Finish.STOP and end and not reading.raw.endswith(end):
            reading.raw += end  # servers keep it to themselves, and some parsers wait for it

    # --- the request ----------------------------------------------------------------------

    def _body(self, server: Server) -> dict[str, Any]:
        request, kind = self._reading.shown.request, server.kind
        # Before the family's words are put around it: in those its marks are meant.
        typed = replace(request, turns=servers.plain(request.turns), query=servers.harmless(request.query))
        turns = self._reading.shown.turns(asked_turns(typed, self._family))
        extra = dict(kind.extra)
        if turns[-1].role is Role.ASSISTANT:
            if kind.resumes is None:
                raise BadInput(f"{kind.title} cannot go on from an answer that was cut: ask again.")
            extra |= kind.resumes
        listed, self._reading.seen = servers.messages(server, self._family, turns, request.pixels)
        self._reading.prompt = _readable(turns)
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._checkpoint.source,
            "messages": listed,
            "temperature": sampling.temperature,
            kind.limit: sampling.max_tokens,
            "extra_body": extra,
        }
        if sampling.top_p < 1:  # 1 is no choice, and some servers refuse it
            body["top_p"] = sampling.top_p
        if sampling.seed is not None and kind.seed:
            body["seed"] = sampling.seed
        if kind.usage:
            body["stream_options"] = {"include_usage": True}
        return body

    def _answer(self, error: str = "") -> Answer:
        now = time.monotonic()
        first = self._completion.first_at if self._completion else None
        timings = Timings(first_token=first - self._began if first else 0.0, total=now - self._began)
        return self._reading.answer(self._usage, timings, error=error)


def _readable(turns: tuple[Turn, ...]) -> str:
    """The conversation as it was sent; how it became the model's prompt only the server knows."""
    parts = (
        f"{turn.role}: " + " ".join("<image>" if not isinstance(part, str) else part for part in turn.parts)
        for turn in turns
    )
    return "\n".join(parts)


def state(checkpoint: Checkpoint) -> ModelState:
    """How a server's model is, from how its server has been lately. Asks nobody."""
    lately = servers.health(checkpoint.server)
    where = f"{checkpoint.name} runs on the server '{checkpoint.server}'"
    if lately.error:
        return ModelState("failed", lately.error, model=checkpoint.id, name=checkpoint.name)
    speed = f", which last began to answer after {lately.latency:.2f} s" if lately.latency else ""
    return ModelState("ready", f"{where}{speed}.", model=checkpoint.id, name=checkpoint.name)
