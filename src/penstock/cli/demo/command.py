"""`penstock demo`: the options and the exit code of the demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import run


def demo(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            readable=True,
            metavar="FOLDER",
            help="The folder to analyse; by default the current one.",
            show_default=False,
        ),
    ] = Path(),
    workers: Annotated[
        int, typer.Option("--workers", min=2, max=16, metavar="N", help="Worker processes.")
    ] = 2,
    report: Annotated[Path, typer.Option("--report", metavar="FILE", help="Where the report goes.")] = Path(
        "demo-report.md"
    ),
    most_files: Annotated[
        int, typer.Option("--most-files", min=1, metavar="N", help="Analyse the first N files.")
    ] = 1000,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the numbers as the last line; progress goes to stderr."),
    ] = False,
) -> None:
    """Analyse a folder's text files on two workers, one of which is killed half-way.

    One job for each file extracts summary sentences, key words and dangling
    links in durable steps; a last one writes the report. In the middle of a
    step over a large file its worker is killed: its jobs go on elsewhere
    within 20 s, without repeating a finished step. All runs on an embedded
    Valkey, or on the server of PENSTOCK_REDIS_URL, and is gone afterwards.

    [bold]Examples[/]

      penstock demo
      penstock demo docs --workers 3 --report docs-report.md
      penstock demo --json | tail -n 1
    """
    from rich.console import Console

    from penstock.cli.demo.signals import DemoStopped
    from penstock.cli.demo.story import DemoOptions, run_demo
    from penstock.cli.demo.view import choose_view, print_outcome

    console = Console(stderr=as_json)
    options = DemoOptions(folder.resolve(), report.resolve(), workers, most_files)
    try:
        with choose_view(console) as view:
            outcome = run(run_demo(options, view))
    except DemoStopped:
        stop("Stopped: the workers and the server are down, nothing is left.", ExitCode.INTERRUPTED)
    print_outcome(console, outcome, str(report))
    if as_json:
        typer.echo(json.dumps(outcome.as_json()))
    if outcome.shortcomings():
        raise typer.Exit(ExitCode.FAILED)
