"""`penstock bench`: what Penstock costs, beside bare redis-py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import run

if TYPE_CHECKING:
    from penstock.bench import Plan

STDOUT = "-"


def bench(
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE", help="Also write the figures as JSON; - is standard output, alone."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A look in about 20 seconds, too short for figures to be quoted.")
    ] = False,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds", min=1, metavar="N", help="Medians of so many rounds.", show_default="3, quick: 1"
        ),
    ] = None,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis-url",
            metavar="URL",
            help="Server to measure on instead of an embedded one; what it holds is left alone.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure Penstock and bare redis-py side by side.

    Both work on the same server in the same run: enqueueing, draining at four
    concurrencies with real worker processes, pickup latency, memory. The baseline
    is a ceiling: it reads, acknowledges and deletes, and remembers nothing. Takes
    about three minutes. Machines drift, so only the ratios mean something.

    [bold]Examples[/]

      penstock bench --quick
      penstock bench --json bench.json
    """
    from penstock.bench import Plan

    plan = Plan.quick(rounds or 1) if quick else Plan(rounds=rounds or 3)
    figures = _measure(plan, redis_url)
    if json_file == STDOUT:
        typer.echo(json.dumps(figures))
        return
    _print_table(figures)
    if json_file is not None:
        _write(Path(json_file), figures)


def _measure(plan: Plan, redis_url: str | None) -> dict[str, Any]:
    from rich.console import Console

    from penstock.bench import run_suite
    from penstock.bench.report import document

    console = Console(stderr=True)
    with console.status("starting") as status:

        def report(what: str) -> None:
            status.update(what)
            if not console.is_terminal:
                console.print(what)

        return document(run(run_suite(plan, redis_url, report)))


def _print_table(figures: dict[str, Any]) -> None:
    from rich.console import Console

    from penstock.bench.report import table

    Console().print(table(figures))


def _write(file: Path, figures: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        stop(f"Cannot write {file}: {error.strerror}.", ExitCode.FAILED)
