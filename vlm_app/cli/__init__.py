"""The command `vlm-app`: ask, serve, models, verify, doctor and more.

Exit status: 0 for an answer; 2 for bad input, with one sentence on standard error; 1 when
the model failed, with one sentence; 130 after Ctrl-C. Importing it costs no torch.
"""

from vlm_app.cli.command import main

__all__ = ["main"]
