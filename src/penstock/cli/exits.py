"""Exit codes, and the one way in which a command reports an error."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NoReturn

import typer

from penstock.core.errors import (
    ConfigurationError,
    EmbeddedServerError,
    InvalidJobError,
    PenstockError,
    QueueUnavailableError,
    UnsafeServerError,
)


class ExitCode(IntEnum):
    """What the exit code of every command means."""

    OK = 0
    FAILED = 1
    """The command was understood and its work failed."""
    USAGE = 2
    """Wrong options, settings or input; nothing was done."""
    UNREACHABLE = 3
    """The server cannot be reached, or is refused because it would lose jobs."""
    NOT_FOUND = 4
    """No such job."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C."""


EXIT_CODES_HELP = (
    "Exit codes: 0 done, 1 the work failed, 2 wrong usage or input, 3 server unreachable or unsafe,"
    " 4 no such job, 130 stopped by Ctrl-C."
)


def exit_code_of(error: PenstockError) -> ExitCode:
    """The exit code that tells a script what kind of error this was."""
    if isinstance(error, QueueUnavailableError | UnsafeServerError | EmbeddedServerError):
        return ExitCode.UNREACHABLE
    if isinstance(error, ConfigurationError | InvalidJobError):
        return ExitCode.USAGE
    return ExitCode.FAILED


def print_error(message: str) -> None:
    """Print an error to stderr: a panel on a terminal, one line elsewhere."""
    if not sys.stderr.isatty():
        typer.echo("penstock: error: " + " ".join(message.split()), err=True)
        return
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    Console(stderr=True).print(Panel(Text(message), title="Error", title_align="left", border_style="red"))


def stop(message: str, code: ExitCode) -> NoReturn:
    """Print an error and end the command with `code`."""
    print_error(message)
    raise typer.Exit(code)
