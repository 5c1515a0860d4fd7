"""The `penstock` program: its commands, and how errors become messages and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from penstock import __version__
from penstock.cli.api import api
from penstock.cli.bench import bench
from penstock.cli.dead import dead
from penstock.cli.demo.command import demo
from penstock.cli.dev import dev
from penstock.cli.enqueue import enqueue
from penstock.cli.exits import EXIT_CODES_HELP, ExitCode, exit_code_of, print_error
from penstock.cli.fork import fork
from penstock.cli.keeper import keeper
from penstock.cli.replay import replay
from penstock.cli.schedule import schedule
from penstock.cli.status import status
from penstock.cli.token import token
from penstock.cli.torture import torture
from penstock.cli.worker import worker
from penstock.core.errors import PenstockError

app = typer.Typer(
    name="penstock",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES_HELP,
)

# Command modules import only what their options need: what they run is imported when they run, so
# that `penstock --help` stays quick.
app.command()(worker)
app.command()(enqueue)
app.command()(status)
app.add_typer(schedule)
app.add_typer(dead)
app.command()(replay)
app.command()(fork)
app.command()(dev)
app.command()(api)
app.command()(keeper)
app.command()(token)
app.command()(demo)
app.command()(torture)
app.command()(bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.callback()
def penstock(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Durable jobs on Redis Streams: none lost, none recorded twice.

    The server is the one named by [bold]--redis-url[/], else by the environment variable
    [bold]PENSTOCK_REDIS_URL[/], else [bold]REDIS_URL[/], else redis://localhost:6379.
    """


def main() -> None:
    """Run the command line and exit; errors print one message to stderr, never a traceback."""
    try:
        app(prog_name="penstock")
    except PenstockError as error:
        print_error(str(error))
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
