"""An answer of a model in this process."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Generator, Hashable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from vlm_app.engine import adapters, cores, memory
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.batching.joining import Joined
from vlm_app.engine.checks import asked_turns
from vlm_app.engine.generation import Generation, Stream
from vlm_app.engine.leases import Held
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import out_of_memory
from vlm_app.engine.processed import remembered
from vlm_app.engine.reading import Reading
from vlm_app.engine.releasing import release
from vlm_app.errors import AppError, BadInput, GenerationFailed
from vlm_app.families import Family
from vlm_app.types import Answer, Checkpoint, Clip, Delta, Finish, Request, Timings, Usage

_log = logging.getLogger(__name__)
BEAT = 0.25  # seconds: how often a stream that waits gives its reader a chance to leave


class LocalAnswer:
    """One answer on its way. `capacity` says how many bytes a model could have."""

    def __init__(
        self,
        request: Request,
        checkpoint: Checkpoint,
        family: Family,
        adapter: Adapter | None,
        capacity: Callable[[], int],
        stop: threading.Event,
    ) -> None:
        self._request = request
        self._checkpoint = checkpoint
        self._family = family
        self._adapter = adapter
        self._capacity = capacity
        self._stop = stop
        self._began = time.monotonic()
        self._had_model = self._began
        self._prompt_tokens = 0
        self._generation: Stream | None = None
        self._precision = ""
        self._reading = Reading(request, checkpoint, family)

    @property
    def finish(self) -> Finish:
        return self._reading.finish

    @property
    def tokens(self) -> int:
        return self._generation.tokens if self._generation else 0

    def run(self, lease: Held, held: ExitStack) -> Generator[Delta]:
        """Wait, encode, generate, read. The thread of the generation takes the lease over."""
        while not lease.ready(BEAT):
            yield Delta()
            if self._stop.is_set():
                yield Delta(answer=self._answer())
                return
        self._had_model = time.monotonic()
        failure: AppError | None = None
        ran_out = False
        try:
            yield from self._generate(lease, held)
        except AppError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - logged, and raised again as a sentence
            _log.error("%s failed", self._checkpoint.id, exc_info=error)
            ran_out = out_of_memory(error)
            failure = GenerationFailed(
                f"{self._checkpoint.name} failed inside while answering: ask again, or choose another model."
            )
        # Outside the handler, where the traceback would hold the model's tensors.
        if ran_out:
            failure = self._out_of_memory()
        if isinstance(failure, GenerationFailed):
            self._reading.finish = Finish.FAILED
            yield Delta(answer=self._answer(failure.sentence))
        if failure is not None:
            raise failure

    def _generate(self, lease: Held, held: ExitStack) -> Generator[Delta]:
        loaded, reading = lease.model, self._reading
        inputs, limit = self._encode(loaded)
        reading.resume()
        generation = self._stream(loaded, inputs, limit, lease.release)
        del inputs  # the generation lets go of them when it ends
        with generation:
            held.pop_all()  # from here on the thread gives the lease back, when it really ends
            self._generation = generation
            for piece in generation.pieces(BEAT):
                reading.raw += piece
                yield reading.delta()
            reading.finish = generation.finish
        last = reading.delta(whole=True)
        yield replace(last, answer=self._answer())

    def _stream(
        self, loaded: LoadedModel, inputs: dict[str, Any], limit: int, on_end: Callable[[], None]
    ) -> Stream:
        """The answer together with others where the model can, else alone."""
        request = self._reading.shown.request
        if loaded.decoder is None:
            adapters.use(loaded, self._adapter)
            visual = (request.owner, _visual(request))
            return Generation(loaded, inputs, request.sampling, limit, self._stop, on_end, visual)
        return Joined(
            loaded.decoder,
            loaded,
            inputs,
            request.sampling,
            limit,
            self._stop,
            on_end,
            adapter=self._adapter,
            owner=request.owner,
            visual=_visual(request),
        )

    def _encode(self, loaded: LoadedModel) -> tuple[dict[str, Any], int]:
        """The model's inputs on its device, and the most tokens that fit behind them."""
        request, self._precision = self._reading.shown.request, loaded.precision
        turns = self._reading.shown.turns(asked_turns(request, self._family))
        cores.one()
        with loaded.encoding, remembered(loaded, request.pictures, request.owner):
            inputs, self._reading.seen = self._family.encode(
                loaded.processor, turns, task=request.task, pixels=request.pixels
            )
        self._prompt_tokens = inputs["input_ids"].shape[1]
        self._reading.prompt = _readable(loaded, inputs)
        room = _room(loaded, inputs) if loaded.context else request.sampling.max_tokens
        if room < 1:
            raise BadInput(
                f"This conversation has {self._prompt_tokens} tokens, and {self._checkpoint.name} reads "
                f"at most {loaded.context - 1}: begin a new chat, or leave out text or images."
            )
        placed = {name: _placed(value, loaded) for name, value in inputs.items()}
        return placed, min(request.sampling.max_tokens, room)

    def _answer(self, error: str = "") -> Answer:
        now = time.monotonic()
        first = self._generation.first_token_at if self._generation else None
        return self._reading.answer(
            Usage(self._prompt_tokens, self.tokens, self._generation.cached if self._generation else 0),
            Timings(
                load=self._had_model - self._began,
                first_token=first - self._had_model if first else 0.0,
                total=now - self._began,
            ),
            precision=self._precision,
            adapter=self._adapter.id if self._adapter else None,
            error=error,
        )

    def _out_of_memory(self) -> GenerationFailed:
        """The sentence for it, with what would help; the memory of the attempt is free again."""
        release()
        remedy = memory.remedy(self._checkpoint, self._precision, self._request.pixels, self._capacity())
        return GenerationFailed(f"{self._checkpoint.name} ran out of memory on this answer: {remedy}")


def _visual(request: Request) -> Hashable:
    """What the images of a request are, and how they are seen: with the same tokens, the same prompt."""
    parts = (part for turn in request.turns for part in turn.parts)
    images = tuple(
        (tuple(frame.sha256 for frame in part.frames), part.times) if isinstance(part, Clip) else part.sha256
        for part in parts
        if not isinstance(part, str)
    )
    return images, request.pixels


def _room(loaded: LoadedModel, inputs: dict[str, Any]) -> int:
    """How many tokens fit behind the inputs; an encoder-decoder writes apart from what it reads."""
    left: int = loaded.context - inputs["input_ids"].shape[1]
    if not loaded.model.config.is_encoder_decoder or left < 1:
        return left
    begun = inputs.get("decoder_input_ids")
    return loaded.context - (1 if begun is None else begun.shape[1])


def _placed(value: Any, loaded: LoadedModel) -> Any:
    """A tensor on the model's device, floats in its precision."""
    dtype = loaded.model.dtype if value.is_floating_point() else value.dtype
    return value.to(device=loaded.device, dtype=dtype)


def _readable(loaded: LoadedModel, inputs: dict[str, Any]) -> str:
    """The prompt as text, the many tokens of an image or a video as one."""
    text = loaded.processor.tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=False)
    names = (("image_token", "<image>"), ("video_token", "<video>"))
    marks = (re.escape(str(getattr(loaded.processor, name, usual))) for name, usual in names)
    return re.sub(f"({'|'.join(marks)})\\1+", r"\1", text)
