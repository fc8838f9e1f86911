"""The app as everybody starts it, telling whom it wants to reach: `python -m tests.tidy.watched_app LOG`.

Each name that is looked up and each address that is connected to is a line of LOG, and at the end
what the libraries were told about telemetry.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::")


def main(log: Path) -> None:
    told = log.open("a", buffering=1)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            told.write(f"{arguments[0]}\n")
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            told.write(f"{arguments[1][0]}\n")

    for name in ("HF_HUB_DISABLE_TELEMETRY", "GRADIO_ANALYTICS_ENABLED"):  # as tests set them
        os.environ.pop(name, None)
    sys.addaudithook(heard)
    from vlm_app.ui import serve

    serve()
    import gradio.analytics
    import huggingface_hub.constants

    answers = {
        "gradio": gradio.analytics.analytics_enabled(),
        "hub": not huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY,
    }
    told.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
