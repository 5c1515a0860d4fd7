"""`penstock demo`: the options and the exit code of the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.extras import needs
from penstock.cli.options import run

if TYPE_CHECKING:
    from rich.console import Console

    from penstock.cli.demo.outcome import Outcome

WIDTH_OF_FILES = 150


def demo(
    goals: Annotated[
        Path | None,
        typer.Option(
            "--goals",
            metavar="FILE",
            help='One {"goal": "…"} a line; by default examples/goals.jsonl.',
            show_default=False,
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            metavar="DIR",
            help="The texts to work on, which are copied; by default examples/texts.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=2, max=16, metavar="N", help="Worker processes.")
    ] = 2,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the numbers as the last line; progress goes to stderr."),
    ] = False,
) -> None:
    """Run goals over texts on a whole stack, one of whose workers is killed half-way.

    Valkey, PostgreSQL, API, keeper and workers are started in a folder of their
    own. The goals are submitted over HTTP and carried out by the offline model,
    which needs no key. One worker is killed in the middle of a step: its runs go
    on elsewhere within 20 s, without repeating a finished step. Each webhook is
    received and its signature verified; the history comes from PostgreSQL.
    Nothing is left behind.

    [bold]Examples[/]

      penstock demo
      penstock demo --goals my-goals.jsonl --texts docs --workers 3
      penstock demo --json | tail -n 1
    """
    from rich.console import Console

    console = Console(stderr=as_json)
    if not console.is_terminal:
        # A file has no width of its own, and its reader does not see the end of a line that is cut off.
        console.width = max(console.width, WIDTH_OF_FILES)
    with needs("server", "agents", "webhooks", "embedded"):
        outcome = _perform(console, goals, texts, workers)
    if as_json:
        typer.echo(json.dumps(outcome.as_json()))
    if outcome.shortcomings():
        raise typer.Exit(ExitCode.FAILED)


def _perform(console: Console, goals: Path | None, texts: Path | None, workers: int) -> Outcome:
    from penstock.cli.demo.history import print_history
    from penstock.cli.demo.library import examples_folder
    from penstock.cli.demo.signals import DemoStopped
    from penstock.cli.demo.story import DemoOptions, run_demo
    from penstock.cli.demo.view import choose_view, print_outcome

    examples = examples_folder()
    options = DemoOptions(
        (goals or examples / "goals.jsonl").resolve(), (texts or examples / "texts").resolve(), workers
    )
    try:
        with choose_view(console) as view:
            outcome, rows = run(run_demo(options, view))
    except DemoStopped:
        stop("Stopped: all processes have ended, nothing is left.", ExitCode.INTERRUPTED)
    print_history(console, rows)
    print_outcome(console, outcome)
    return outcome
