"""An answer as it is generated: its tokens, and its text as it comes."""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from vlm_app.engine import cores
from vlm_app.engine.features import seen
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.sampling import end_tokens, rules, sampler
from vlm_app.types import Finish, Sampling

if TYPE_CHECKING:
    import torch

_UNFINISHED = 3  # bytes, and so tokens, of a character that is not whole yet, at most
Arrived = list[int] | BaseException | None
PACE_SECONDS = 0.03  # between two looks at what came
JOIN_SECONDS = 10.0  # a token takes less; a thread that hangs must not hang its reader too


class Detokenizer:
    """Turns a growing list of tokens into text, special tokens kept.

    Text is given out once it can no longer change: a character whose bytes are spread
    over several tokens waits for the last of them.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # decoding starts here: enough context for the first new token
        self._shown = 0  # tokens before this one have been given out

    def add(self, ids: list[int], last: bool = False) -> str:
        """The text that became certain with these tokens; with `last`, whatever is left."""
        self._ids += ids
        shown = self._decode(self._ids[self._start : self._shown])
        for end in range(len(self._ids), max(self._shown, len(self._ids) - _UNFINISHED - 1), -1):
            text = self._decode(self._ids[self._start : end])
            # Bytes that still make no character when no more can be missing never will.
            if last or not text.endswith("\ufffd") or end == len(self._ids) - _UNFINISHED:
                self._start, self._shown = self._shown, end
                return text[len(shown) :]
        return ""

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


class Stream(ABC):
    """An answer's tokens as they are made, and its text as it comes.

    A context manager: entering it begins the answer, leaving it ends it within one token.
    `limit` is the most new tokens, `stop` ends it too. Whoever makes the tokens hands them to
    `arrived`, then what went wrong, or None.
    """

    def __init__(self, loaded: LoadedModel, limit: int, stop: threading.Event) -> None:
        self._loaded = loaded
        self._limit = limit
        self._ends = end_tokens(loaded)
        self._queue: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self._over = threading.Event()
        self._stop = stop
        self._left = threading.Event()
        self.tokens = 0
        self.first_token_at: float | None = None  # time.monotonic()
        self.finish = Finish.CANCELLED

    @property
    def cached(self) -> int:
        """How many tokens of the prompt were not read again."""
        return 0

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self.wait(JOIN_SECONDS)

    @abstractmethod
    def begin(self) -> None:
        """Have the tokens made."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Until nothing of it runs any more, for so long at most."""

    def stopped(self) -> bool:
        """Whether nobody wants more tokens."""
        return self._stop.is_set() or self._left.is_set()

    def arrived(self, what: Arrived) -> None:
        """New tokens; or the exception or None with which it ended."""
        self._queue.put(what)
        if not isinstance(what, list):
            self._over.set()

    def pieces(self, beat: float) -> Iterator[str]:
        """The text as it comes; '' when nothing came for `beat` seconds.

        What went wrong where the tokens are made is raised here.
        """
        text = Detokenizer(self._loaded.processor.tokenizer)
        while True:
            try:
                arrived = self._queue.get(timeout=beat)
            except queue.Empty:
                yield ""
                continue
            ids, last = self._so_far(arrived)
            if ids:
                yield from self._count(text, ids)
            if isinstance(last, BaseException):
                raise last
            if last is None:
                yield text.add([], last=True)
                return
            # Whoever makes the tokens has the processor meanwhile; nobody reads faster than that.
            self._over.wait(PACE_SECONDS)

    def _so_far(self, arrived: Arrived) -> tuple[list[int], Arrived]:
        """The tokens that have come by now, and what came last."""
        ids: list[int] = []
        while isinstance(arrived, list):
            ids += arrived
            if self._queue.empty():
                break
            arrived = self._queue.get()
        return ids, arrived

    def _count(self, text: Detokenizer, ids: list[int]) -> Iterator[str]:
        self.first_token_at = self.first_token_at or time.monotonic()
        self.tokens += len(ids)
        if ids[-1] in self._ends:
            self.finish = Finish.STOP
        elif self.tokens >= self._limit:
            self.finish = Finish.LENGTH
        if piece := text.add(ids):
            yield piece


class Generation(Stream):
    """Runs `model.generate` in a thread, for one answer that has the model alone.

    `inputs` are the model's inputs on its device, `visual` says what its pictures are (None: they
    are encoded anew). `on_end` is called when the thread ends, whatever happened: only then is the
    model free.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        inputs: dict[str, Any],
        sampling: Sampling,
        limit: int,
        stop: threading.Event,
        on_end: Callable[[], None],
        visual: Hashable = None,
    ) -> None:
        super().__init__(loaded, limit, stop)
        self._visual = visual
        self._inputs = inputs
        self._sampling = sampling
        self._on_end = on_end
        self._thread = threading.Thread(
            target=self._run, name=f"generate {loaded.checkpoint.id}", daemon=True
        )

    def begin(self) -> None:
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    # --- in the thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with cores.shared():
                self._generate()
        except BaseException as error:  # noqa: BLE001 - forwarded: a stream must not hang on a dead thread
            self.arrived(error)
        else:
            self.arrived(None)
        finally:
            self._inputs = {}
            self._on_end()

    def _generate(self) -> None:
        from transformers import StoppingCriteriaList

        with seen(self._loaded, self._visual):
            self._loaded.model.generate(
                **self._inputs,
                generation_config=rules(self._loaded, self._limit),
                logits_processor=sampler(self._sampling, self._loaded.device),
                stopping_criteria=StoppingCriteriaList([self._stop_all]),
                streamer=_Sink(self.arrived),
            )

    def _stop_all(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        import torch

        cores.share()
        return torch.full((len(input_ids),), self.stopped(), device=input_ids.device, dtype=torch.bool)


class _Sink:
    """What `generate` takes for a streamer: hands on each new token, not the prompt."""

    def __init__(self, put: Callable[[list[int]], None]) -> None:
        self._put = put
        self._prompt = True

    def put(self, value: torch.Tensor) -> None:
        if not self._prompt:
            self._put(value.reshape(-1).tolist())
        self._prompt = False

    def end(self) -> None:
        """The thread says itself that it ended, after it has let go of the model."""
