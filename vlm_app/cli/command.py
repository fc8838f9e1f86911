"""The arguments of the command, and what becomes of an error."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from pydantic import ValidationError

from vlm_app import __version__
from vlm_app.cli import adapters, ask, doctor, finetune, models, person, serve, servers, settings, verify
from vlm_app.errors import AppError, BadInput, NotFound

_BROKEN_PIPE = 141  # as a shell shows a process that SIGPIPE ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's); returns the exit status."""
    try:
        arguments = _parser().parse_args(argv)
        _quiet()
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except ValidationError as error:
        return _refused(_unusable(error), 2)
    except (BadInput, NotFound) as error:
        return _refused(error.sentence, 2)
    except AppError as error:
        return _refused(error.sentence, 1)
    except EOFError:
        return _refused("Nothing was typed where something was asked for: run the command in a terminal.", 2)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away. What is still buffered has nowhere to go, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _unusable(error: ValidationError) -> str:
    """What the environment sets wrongly: which variable, to what, and what was expected."""
    wrong = []
    for item in error.errors():
        amount = str(item["type"]).startswith("byte_size")  # of which pydantic only says that it is none
        expected = (
            "an amount such as 8GB or 500MB"
            if amount
            else item["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        )
        name = f"VLM_APP_{str(item['loc'][0]).upper().removeprefix('VLM_APP_')}"
        if item["type"] == "default_factory_not_called":  # it follows from one that is named
            continue
        wrong.append(f"{name} to '{item['input']}', expected {expected}")
    return f"The environment sets {'; '.join(wrong)}: correct or unset it."


def _refused(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


def _quiet() -> None:
    """Results on standard output, in UTF-8; on standard error one sentence and no library's notes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    logging.getLogger().addHandler(logging.NullHandler())
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


# --- arguments --------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Refuses with one sentence instead of the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(
            2,
            f"{message[:1].upper()}{message[1:].rstrip('.')}; '{self.prog} --help' shows what is possible.\n",
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vlm-app", description="Talk with open vision-language models about your own images."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    for command in (ask, models, servers, verify, finetune, adapters, serve, person, doctor, settings):
        command.add(commands)
    return parser
