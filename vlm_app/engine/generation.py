"""One generation: a thread that runs the model, and its text as it comes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vlm_app.engine.loaded import LoadedModel
from vlm_app.types import Finish, Sampling

if TYPE_CHECKING:
    import torch

_UNFINISHED = 3  # bytes, and so tokens, of a character that is not whole yet, at most
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


class Generation:
    """Runs `model.generate` in a thread. A context manager: leaving it stops the thread.

    `inputs` are the model's inputs on its device, `limit` the most new tokens. Setting
    `stop` ends it after the token that is being made. `on_end` is called when the thread
    ends, whatever happened: only then is the model free.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        inputs: dict[str, Any],
        sampling: Sampling,
        limit: int,
        stop: threading.Event,
        on_end: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._inputs = inputs
        self._sampling = sampling
        self._limit = limit
        self._on_end = on_end
        self._ends = _end_tokens(loaded)
        self._arrived: queue.SimpleQueue[list[int] | BaseException | None] = queue.SimpleQueue()
        self._stop = stop
        self._left = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"generate {loaded.checkpoint.id}", daemon=True
        )
        self.tokens = 0
        self.first_token_at: float | None = None  # time.monotonic()
        self.finish = Finish.CANCELLED

    def __enter__(self) -> Generation:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(JOIN_SECONDS)

    def pieces(self, beat: float) -> Iterator[str]:
        """The text as it comes; '' when nothing came for `beat` seconds.

        What the thread raised is raised here.
        """
        text = Detokenizer(self._loaded.processor.tokenizer)
        while True:
            try:
                ids = self._arrived.get(timeout=beat)
            except queue.Empty:
                yield ""
                continue
            if isinstance(ids, BaseException):
                raise ids
            if ids is None:
                yield text.add([], last=True)
                return
            yield from self._count(text, ids)

    def _count(self, text: Detokenizer, ids: list[int]) -> Iterator[str]:
        self.first_token_at = self.first_token_at or time.monotonic()
        self.tokens += len(ids)
        if ids[-1] in self._ends:
            self.finish = Finish.STOP
        elif self.tokens >= self._limit:
            self.finish = Finish.LENGTH
        if piece := text.add(ids):
            yield piece

    # --- in the thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._generate()
        except BaseException as error:  # noqa: BLE001 - forwarded: a stream must not hang on a dead thread
            self._arrived.put(error)
        else:
            self._arrived.put(None)
        finally:
            self._inputs = {}
            self._on_end()

    def _generate(self) -> None:
        from transformers import StoppingCriteriaList

        self._loaded.model.generate(
            **self._inputs,
            generation_config=self._config(),
            logits_processor=_sampler(self._sampling, self._loaded.device),
            stopping_criteria=StoppingCriteriaList([self._stopped]),
            streamer=_Sink(self._arrived.put),
        )

    def _stopped(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        import torch

        ended = self._stop.is_set() or self._left.is_set()
        return torch.full((len(input_ids),), ended, device=input_ids.device, dtype=torch.bool)

    def _config(self) -> Any:
        """The checkpoint's own settings without its sampling, which is the request's, and its beams.

        A search by beams cannot be streamed.
        """
        from copy import deepcopy

        config = deepcopy(self._loaded.model.generation_config)
        config.update(
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            num_beams=1,
            early_stopping=False,
            length_penalty=1.0,
            max_length=None,
            max_new_tokens=self._limit,
            eos_token_id=sorted(self._ends),
        )
        if config.pad_token_id is None:
            config.pad_token_id = min(self._ends)
        return config


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


def _end_tokens(loaded: LoadedModel) -> frozenset[int]:
    """Every token that ends an answer: the checkpoint's, and the family's."""
    ends = loaded.model.generation_config.eos_token_id
    ids = {ends} if isinstance(ends, int) else set(ends or ())
    tokenizer = loaded.processor.tokenizer
    if loaded.family.end:
        ids.add(tokenizer.convert_tokens_to_ids(loaded.family.end))
    return frozenset(ids)


def _sampler(sampling: Sampling, device: str) -> Any:
    """Sampling as a change of the logits, after which the largest is taken.

    The largest of log-probabilities with Gumbel noise is a draw from the distribution
    (Gumbel-max), and the noise comes from a generator of the request's own: a seed
    repeats an answer whatever else runs, and the global random state is left alone.
    """
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

    processors = LogitsProcessorList()
    if sampling.temperature > 0:
        processors.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_p < 1:
            processors.append(TopPLogitsWarper(sampling.top_p))
        processors.append(_gumbel_noise(sampling.seed, device))
    return processors


def _gumbel_noise(seed: int | None, device: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    import torch

    random = torch.Generator(device)
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)

    def add(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        exponential = torch.empty_like(scores, dtype=torch.float32).exponential_(generator=random)
        noisy: torch.Tensor = scores.float() - exponential.log()
        return noisy

    return add
