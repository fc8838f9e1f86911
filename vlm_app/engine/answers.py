"""The one way to run a model: `Engine.answer`."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from vlm_app import catalog, families
from vlm_app.engine.checks import asked_turns, check
from vlm_app.engine.events import Answered, Broadcaster, Listener
from vlm_app.engine.generation import Generation
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint, out_of_memory
from vlm_app.engine.manager import Lease, Manager, ModelState
from vlm_app.errors import AppError, BadInput, GenerationFailed
from vlm_app.families import Family, Parsed
from vlm_app.types import Answer, Checkpoint, Delta, Finish, Request, Seen, Task, Timings, Usage

_log = logging.getLogger(__name__)
BEAT = 0.25  # seconds: how often a stream that waits gives its reader a chance to leave
_PARSE_SHARE = 0.1  # of the time, at most, is spent on reading a growing answer again


class Engine:
    """Runs the models of a catalog. Nothing is loaded before it is asked for."""

    def __init__(
        self, rows: Mapping[str, Checkpoint], loader: Callable[[Checkpoint], LoadedModel] = load_checkpoint
    ) -> None:
        self._rows = rows
        self._events = Broadcaster()
        self._manager = Manager(loader, self._events)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear every event of `vlm_app.engine.events`, until the returned function is called."""
        return self._events.subscribe(listener)

    def warm(self, model: str) -> None:
        """Begin to load a model in the background. An unknown id raises `ModelUnavailable`."""
        self._manager.warm(catalog.find(model, self._rows))

    def state(self, model: str) -> ModelState:
        """How a model is now. An unknown id raises `ModelUnavailable`."""
        return self._manager.state(catalog.find(model, self._rows))

    @property
    def leases(self) -> dict[str, int]:
        """How many requests hold or wait for each model; models without any are left out."""
        return self._manager.leases()

    def answer(self, request: Request, stop: threading.Event | None = None) -> Generator[Delta]:
        """Stream an answer. The last delta carries the whole `Answer`.

        While nothing happens (the model loads, is busy, or reads the prompt) empty deltas
        come, so that a reader can leave at any time: closing the generator ends the
        generation within one token and frees the model. Setting `stop` ends it as well,
        with an answer that is CANCELLED.

        When the last turn is the assistant's, the answer goes on from its text (the `raw`
        of the answer so far): the deltas hold what is new, the `Answer` the whole.

        Raises `ModelUnavailable`, `BadInput` (before any text), and `GenerationFailed`,
        before which a last delta brings the answer so far, as FAILED with its sentence.
        """
        checkpoint = catalog.find(request.model, self._rows)
        family = families.get(checkpoint.family)
        check(request, checkpoint, family)
        stream = _Stream(request, checkpoint, family, stop or threading.Event())
        with ExitStack() as held:
            lease = held.enter_context(self._manager.lease(checkpoint))
            try:
                yield from stream.run(lease, held)
            finally:
                self._events.publish(Answered(checkpoint.id, stream.finish, stream.tokens))


class _Stream:
    """One answer on its way."""

    def __init__(
        self, request: Request, checkpoint: Checkpoint, family: Family, stop: threading.Event
    ) -> None:
        self._request = request
        self._checkpoint = checkpoint
        self._family = family
        self._stop = stop
        self._began = time.monotonic()
        self._had_model = self._began
        self._prompt = ""
        self._prompt_tokens = 0
        self._seen = Seen()
        self._generation: Generation | None = None
        self._precision = ""
        self._raw = family.unfinished(request.turns)
        self._parsed = Parsed("")
        self._read_at = 0.0
        self._read_cost = 0.0
        self.finish = Finish.CANCELLED

    @property
    def tokens(self) -> int:
        return self._generation.tokens if self._generation else 0

    def run(self, lease: Lease, held: ExitStack) -> Generator[Delta]:
        """Wait, encode, generate, read. The thread of the generation takes the lease over."""
        while not lease.ready(BEAT):
            yield Delta()
            if self._stop.is_set():
                yield Delta(answer=self._answer())
                return
        self._had_model = time.monotonic()
        failure: AppError | None = None
        try:
            yield from self._generate(lease, held)
        except AppError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - logged, and raised again as a sentence
            failure = self._failure(error)
        # Raised outside the handler, where the traceback would hold the model's tensors.
        if isinstance(failure, GenerationFailed):
            self.finish = Finish.FAILED
            yield Delta(answer=self._answer(failure.sentence))
        if failure is not None:
            raise failure

    def _generate(self, lease: Lease, held: ExitStack) -> Generator[Delta]:
        loaded = lease.model
        inputs, limit = self._encode(loaded)
        self._parsed = self._parse()  # of an answer that goes on: its text was shown before
        generation = Generation(
            loaded, inputs, self._request.sampling, limit, self._stop, on_end=lease.release
        )
        with generation:
            held.pop_all()  # from here on the thread gives the lease back, when it really ends
            self._generation = generation
            for piece in generation.pieces(BEAT):
                self._raw += piece
                yield self._delta() if piece else Delta()
            self.finish = generation.finish
        last = self._delta(whole=True)
        yield replace(last, answer=self._answer())

    def _encode(self, loaded: LoadedModel) -> tuple[dict[str, Any], int]:
        """The model's inputs on its device, and the most tokens that fit behind them."""
        request, self._precision = self._request, loaded.precision
        turns = asked_turns(request, self._family)
        inputs, self._seen = self._family.encode(
            loaded.processor, turns, task=request.task, pixels=request.pixels
        )
        self._prompt_tokens = inputs["input_ids"].shape[1]
        self._prompt = _readable(loaded, inputs)
        room = _room(loaded, inputs) if loaded.context else request.sampling.max_tokens
        if room < 1:
            raise BadInput(
                f"This conversation has {self._prompt_tokens} tokens, and {self._checkpoint.name} reads "
                f"at most {loaded.context - 1}: begin a new chat, or leave out text or images."
            )
        placed = {name: _placed(value, loaded) for name, value in inputs.items()}
        return placed, min(request.sampling.max_tokens, room)

    def _delta(self, whole: bool = False) -> Delta:
        """What can be read now that could not before.

        A long answer is read again only after ten times as long as reading it last took,
        so that the work stays a small share however long it grows.
        """
        begun = time.monotonic()
        if not whole and begun - self._read_at < self._read_cost / _PARSE_SHARE:
            return Delta()
        before, self._parsed = self._parsed, self._parse()
        self._read_at = time.monotonic()
        self._read_cost = self._read_at - begun
        return Delta(self._parsed.text[len(before.text) :], self._parsed.regions[len(before.regions) :])

    def _parse(self) -> Parsed:
        sizes = [picture.size for picture in self._request.pictures]
        parsed = self._family.parse(
            self._raw,
            image_size=sizes[-1] if sizes else (1, 1),
            input_size=self._seen.size,
            asked=(self._request.task, self._request.query),
            images=sizes,
        )
        whole = self._request.task is Task.COUNT and self.finish is Finish.STOP
        return _counted(parsed) if whole else parsed

    def _answer(self, error: str = "") -> Answer:
        now = time.monotonic()
        first = self._generation.first_token_at if self._generation else None
        self._parsed = self._parse()
        return Answer(
            text=self._parsed.text,
            regions=self._parsed.regions,
            raw=self._raw,
            prompt=self._prompt,
            task=self._request.task,
            seen=self._seen,
            usage=Usage(self._prompt_tokens, self.tokens),
            timings=Timings(
                load=self._had_model - self._began,
                first_token=first - self._had_model if first else 0.0,
                total=now - self._began,
            ),
            finish=self.finish,
            model=self._checkpoint.id,
            precision=self._precision,
            error=error,
        )

    def _failure(self, error: Exception) -> GenerationFailed:
        _log.error("%s failed", self._checkpoint.id, exc_info=error)
        if out_of_memory(error):
            return GenerationFailed(
                f"{self._checkpoint.name} ran out of memory on this answer: use fewer or smaller images, "
                "a shorter conversation or a smaller model."
            )
        return GenerationFailed(
            f"{self._checkpoint.name} failed inside while answering: ask again, or choose another model."
        )


def _room(loaded: LoadedModel, inputs: dict[str, Any]) -> int:
    """How many tokens fit behind the inputs; an encoder-decoder writes apart from what it reads."""
    left: int = loaded.context - inputs["input_ids"].shape[1]
    if not loaded.model.config.is_encoder_decoder or left < 1:
        return left
    begun = inputs.get("decoder_input_ids")
    return loaded.context - (1 if begun is None else begun.shape[1])


def _counted(parsed: Parsed) -> Parsed:
    """A counting answer with the number of its regions, where it does not end with one itself."""
    if re.search(r"\bTotal: \d+\.?$", parsed.text):
        return parsed
    text = parsed.text
    joint = "" if not text else " " if text.endswith(".") else ". "
    return replace(parsed, text=f"{text}{joint}Total: {len(parsed.regions)}.")


def _placed(value: Any, loaded: LoadedModel) -> Any:
    """A tensor on the model's device, floats in its precision."""
    dtype = loaded.model.dtype if value.is_floating_point() else value.dtype
    return value.to(device=loaded.device, dtype=dtype)


def _readable(loaded: LoadedModel, inputs: dict[str, Any]) -> str:
    """The prompt as text, the many tokens of an image as one."""
    text = loaded.processor.tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=False)
    image = re.escape(str(getattr(loaded.processor, "image_token", "<image>")))
    return re.sub(f"({image})+", lambda found: found.group(1), text)
