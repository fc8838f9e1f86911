"""What transformers alone does: `model.generate`, with a streamer for one user, left-padded for several."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.serve.asked import Asked
from benchmarks.serve.models import opened
from vlm_app import families
from vlm_app.engine import cores
from vlm_app.types import Checkpoint, Request


class Plain:
    """A model by itself. Prompts are those of this app, token for token."""

    def __init__(self, row: Checkpoint) -> None:
        self._family = families.get(row.family)
        self._processor, self.model = opened(row)

    def ask(self, request: Request) -> Asked:
        """`generate` in a thread, read through transformers' own streamer."""
        return cores.apart(lambda: self._ask(request))

    def batch(self, requests: Sequence[Request]) -> tuple[float, int]:
        """All in one batch: its seconds, and the new tokens of all rows together."""
        return cores.apart(lambda: self._batch(requests))

    def _ask(self, request: Request) -> Asked:
        start = time.monotonic()
        inputs = self._encoded(request)
        streamer = _timed_streamer(self._processor.tokenizer)
        thread = threading.Thread(target=self._generate, args=(inputs, request, streamer))
        thread.start()
        text = "".join(streamer)
        thread.join()
        total = time.monotonic() - start
        times = streamer.times
        assert len(times) == request.sampling.max_tokens, len(times)
        return Asked(times[0] - start, total, inputs["input_ids"].shape[1], len(times), text)

    def _batch(self, requests: Sequence[Request]) -> tuple[float, int]:
        start = time.monotonic()
        inputs = self._padded([self._encoded(request) for request in requests])
        out = self._generate(inputs, requests[0])
        made = out[:, inputs["input_ids"].shape[1] :].cpu()
        assert made.shape == (len(requests), requests[0].sampling.max_tokens), made.shape
        return time.monotonic() - start, made.numel()

    def _generate(self, inputs: dict[str, Any], request: Request, streamer: Any = None) -> Any:
        tokens = request.sampling.max_tokens
        return self.model.generate(**inputs, max_new_tokens=tokens, do_sample=False, streamer=streamer)

    def _encoded(self, request: Request) -> dict[str, Any]:
        inputs, _ = self._family.encode(self._processor, request.turns, task=request.task)
        dtype = self.model.dtype
        return {
            name: value.to(self.model.device, dtype if value.is_floating_point() else value.dtype)
            for name, value in inputs.items()
        }

    def _padded(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """What there is for each token is padded on its left; images stand one after the other."""
        import torch
        from torch.nn.functional import pad

        most = max(row["input_ids"].shape[1] for row in rows)
        joined = {}
        for name, value in rows[0].items():
            values = [row[name] for row in rows]
            if value.shape == rows[0]["input_ids"].shape:
                blank = self._processor.tokenizer.pad_token_id if name == "input_ids" else 0
                values = [pad(each, (most - each.shape[1], 0), value=blank) for each in values]
            joined[name] = torch.cat(values)
        return joined


def _timed_streamer(tokenizer: Any) -> Any:
    """transformers' streamer holds words back until they are whole: the clock looks at tokens."""
    from transformers import TextIteratorStreamer

    class Timed(TextIteratorStreamer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(tokenizer, skip_prompt=True)
            self.times: list[float] = []
            self._prompt = True

        def put(self, value: Any) -> None:
            if not self._prompt:
                self.times.append(time.monotonic())
            self._prompt = False
            super().put(value)

    return Timed()
