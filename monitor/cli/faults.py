"""How a command ends: what a user did wrong becomes one line and an exit code, never a traceback.

Exit codes: 0 done, 1 the answer is no (a check failed, a service is away), 2 wrong use or bad input.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import click


class Exit(IntEnum):
    """What the process says to whoever started it."""

    DONE = 0
    NO = 1
    WRONG = 2
    INTERRUPTED = 130
    """Ctrl-C, as shells count it: 128 and the number of the signal."""


class Fault(Exception):
    """Ends the command: `message` goes to standard error as it is, after ``error:`` unless it names its own place."""

    def __init__(self, message: str, code: Exit = Exit.WRONG, *, bare: bool = False) -> None:
        super().__init__(message)
        self.message = message if bare else f"error: {message}"
        self.code = code


class Silent(Fault):
    """Ends the command with a code; what there was to say has been said."""

    def __init__(self, code: Exit) -> None:
        super().__init__("", code, bare=True)


def exit_code(command: Callable[[], Any]) -> int:
    """Run a command to its end; say what went wrong on standard error."""
    try:
        code = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has what it wanted. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except click.exceptions.Exit as end:
        return end.exit_code
    except (Fault, click.ClickException) as error:
        return _say(*_explained(error))
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", Exit.INTERRUPTED)
    except OSError as error:
        if error.filename is None:
            raise
        return _say(f"error: {error.filename}: {error.strerror}", Exit.WRONG)
    return code if isinstance(code, int) else Exit.DONE


def _explained(error: Fault | click.ClickException) -> tuple[str, int]:
    match error:
        case Fault():
            return error.message, error.code
        case click.exceptions.NoArgsIsHelpError():
            return error.format_message(), Exit.WRONG
        case click.UsageError(ctx=click.Context(command_path=command)):
            return f"error: {error.format_message()} (see `{command} --help`)", Exit.WRONG
        case _:
            return f"error: {error.format_message()}", Exit.WRONG


def _say(message: str, code: int) -> int:
    try:
        sys.stdout.flush()
        if message:
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - this is the command line
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
