"""The app on ZeroGPU without a GPU: the package `spaces` as it is, but for the steps that touch CUDA.

It patches torch, wraps `Blocks.launch`, asks the place's API for a GPU, forks, pickles the request and what
comes back. Replaced are the writing down of the weights, which only gives memory back, the first touch of the
GPU, and the way of the weights onto it: there they stay on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vlm_app.settings import settings
from vlm_app.ui import serve
from vlm_app.ui.serving import _prepare


def main() -> None:
    _prepare(settings())  # before gradio is imported, which `spaces` does
    import spaces.zero.torch as zero
    from spaces.zero.torch import patching

    def move(callback: Callable[[int], Any] | None = None) -> None:
        for fake, original in patching.cuda_aliases.items():
            if original is not None:
                fake.data = original

    zero.pack = lambda: 0
    zero.init = lambda uuid: None
    zero.move = move
    serve()


if __name__ == "__main__":
    main()
