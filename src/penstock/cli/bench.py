"""`penstock bench`: what Penstock costs, beside bare redis-py, its peers, or an earlier revision."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.exits import ExitCode, stop
from penstock.cli.options import run

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from penstock.bench.suite import Report

STDOUT = "-"


def bench(  # noqa: PLR0917 - each argument is an option
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE", help="Also write the figures as JSON; - is standard output, alone."
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A look in about half a minute, too short for figures to be quoted."),
    ] = False,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            min=1,
            metavar="N",
            help="Medians of so many rounds.",
            show_default="3, quick: 1, features: 7",
        ),
    ] = None,
    peers: Annotated[
        bool | None,
        typer.Option(
            "--peers/--no-peers",
            help="Also measure other job queues, each in an environment under .bench made when missing.",
            show_default="with them in a source tree, but not with --quick or --redis-url",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--peer", metavar="NAME", help="Only this peer; may be given again.", show_default=False
        ),
    ] = None,
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Instead: what features cost where they are not used, beside an earlier revision.",
        ),
    ] = False,
    baseline: Annotated[
        str,
        typer.Option("--baseline", metavar="REVISION", help="The revision that --features compares with."),
    ] = "f415633",
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
    """Measure Penstock beside bare redis-py and beside other job queues.

    All work on the same server in the same run, in turns: enqueueing, draining
    at four concurrencies with real worker processes, pickup latency, memory,
    recovery. Bare redis-py is a ceiling: it reads, acknowledges and deletes,
    and remembers nothing. With peers it takes up to 25 minutes, without about
    five. Machines drift, so only the ratios of one run mean something.

    [bold]Examples[/]

      penstock bench --quick
      penstock bench --no-peers
      penstock bench --json bench.json
      penstock bench --features
    """
    from penstock.bench.report import document, failures, tables

    if features:
        _compare(baseline, rounds, json_file)
        return
    results = _reporting(lambda report: _measured(quick, rounds, peers, only or [], redis_url, report))
    figures = document(results)
    figures["machine"]["command"] = _command(
        quick=quick, rounds=rounds, peers=peers, only=only or [], redis_url=redis_url
    )
    _print(figures, partial(tables, figures), json_file)
    if json_file != STDOUT:
        for line in failures(figures):
            typer.echo(f"not measured: {line}", err=True)


async def _measured(
    quick: bool,
    rounds: int | None,
    peers: bool | None,
    only: list[str],
    redis_url: str | None,
    report: Report,
) -> Any:
    from penstock.bench.peers import chosen_peers
    from penstock.bench.plan import Plan
    from penstock.bench.suite import run_suite
    from penstock.bench.systems import bare_redis, penstock_at

    plan = Plan.quick(rounds or 1) if quick else Plan(rounds=rounds or 3)
    wanted = bool(only) or (peers if peers is not None else None)
    others = await chosen_peers(
        only, wanted=wanted, by_default=not quick and redis_url is None, redis_url=redis_url
    )
    return await run_suite(plan, [penstock_at(), bare_redis(), *others], redis_url, report)


def _compare(revision: str, rounds: int | None, json_file: str | None) -> None:
    from penstock.bench import features
    from penstock.bench.plan import Plan

    plan = Plan.of_features(rounds or 7)
    found = _reporting(lambda report: features.compare(plan, revision, report))
    found["machine"]["command"] = f"penstock bench --features --baseline {revision} --rounds {plan.rounds}"
    _print(found, lambda _: [features.table(found)], json_file)


def _command(
    *, quick: bool, rounds: int | None, peers: bool | None, only: list[str], redis_url: str | None
) -> str:
    words = ["penstock", "bench", *(["--quick"] if quick else [])]
    words += [] if rounds is None else ["--rounds", str(rounds)]
    words += [] if peers is None else ["--peers" if peers else "--no-peers"]
    # The url itself may hold a password.
    words += [word for name in only for word in ("--peer", name)] + (
        ["--redis-url", "URL"] if redis_url else []
    )
    return " ".join(words)


def _reporting(measure: Callable[[Report], Coroutine[Any, Any, Any]]) -> Any:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:

        def report(what: str) -> None:
            status.update(what)
            if not console.is_terminal:
                console.print(what)

        return run(measure(report))


def _print(figures: dict[str, Any], grids: Callable[[Console], list[Table]], json_file: str | None) -> None:
    from rich.console import Console

    if json_file == STDOUT:
        typer.echo(json.dumps(figures))
        return
    console = Console()
    console.print(*grids(console), sep="\n")
    if json_file is not None:
        _write(Path(json_file), figures)


def _write(file: Path, figures: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        stop(f"Cannot write {file}: {error.strerror}.", ExitCode.FAILED)
