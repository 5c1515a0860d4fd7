"""`penstock torture`: real processes under seeded faults, and a verdict."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.exits import ExitCode
from penstock.cli.options import JsonOption, RedisUrlOption, run

if TYPE_CHECKING:
    from penstock.torture.judge import Verdict

_ROWS = {
    "jobs": "jobs",
    "acknowledged": "acknowledged",
    "lost": "lost",
    "settled_twice": "settled twice",
    "extra_starts": "extra starts",
    "in_flight_at_kills": "in flight at kills",
    "zombies_refused": "late writes refused",
    "stuck": "stuck",
    "recovery_p99_s": "recovery p99, s",
    "keys_left": "keys left",
}


def torture(
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            "-s",
            min=1,
            metavar="S",
            help="Time under faults, shared by the scenarios that have no length of their own.",
        ),
    ] = 60.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Which faults strike, and when.")] = 1,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", metavar="NAME", help="Only this one; may be repeated.", show_default=False
        ),
    ] = None,
    scale: Annotated[
        float,
        typer.Option(
            "--scale",
            min=0.0001,
            metavar="X",
            help="Multiplies the jobs, or the length, of the scenarios that have their own.",
        ),
    ] = 1.0,
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Kill, freeze and cut off workers and servers at random, then audit.

    Each scenario runs worker processes under faults, waits until all jobs are
    done, and holds what handlers wrote to a ledger on disk against what the
    queue says. Servers are embedded ones; [bold]--redis-url[/] names another for
    the scenarios that leave the server alone. All scenarios run but for
    [bold]million[/], a million jobs, which is asked for by name.

    Exit code 1 means that a guarantee was broken; what is on standard error
    then says which, and where the ledger and the logs are.

    [bold]Examples[/]

      penstock torture --seconds 30 --seed 7
      penstock torture --scenario kills --scale 0.1 --json
    """
    chosen = _checked(scenario)
    sharing = _share(chosen)
    verdicts = [
        run(_run(name, seconds / sharing, seed, redis_url, scale, as_json=as_json)) for name in chosen
    ]
    if not as_json:
        _print_table(verdicts)
    if any(verdict.violations for verdict in verdicts):
        raise typer.Exit(ExitCode.FAILED)


def _checked(wanted: list[str] | None) -> list[str]:
    from penstock.torture.scenarios import NAMES, SCENARIOS

    for name in wanted or []:
        if name not in NAMES:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(NAMES)}.", param_hint="--scenario")
    return wanted or list(SCENARIOS)


def _share(chosen: list[str]) -> int:
    """How many of the scenarios share the time that was given."""
    from penstock.torture.scenarios import SCENARIOS

    known = [SCENARIOS[name] for name in chosen if name in SCENARIOS]
    return max(sum(each.seconds is None and each.jobs is None for each in known), 1)


async def _run(
    name: str, seconds: float, seed: int, redis_url: str | None, scale: float, *, as_json: bool
) -> Verdict:
    from penstock.torture.million import run_million
    from penstock.torture.scenarios import MILLION
    from penstock.torture.stage import run_scenario

    if not as_json:
        typer.echo(f"{name}, seed {seed}", err=True)
    directory = Path(tempfile.mkdtemp(prefix="penstock-torture-"))
    verdict: Verdict | None = None
    try:
        if name == MILLION:
            verdict = await run_million(seed, directory, scale)
        else:
            verdict = await run_scenario(name, seconds, seed, directory, redis_url, scale)
    finally:
        if verdict is None or verdict.violations:
            typer.echo(f"{name}: ledger and logs are in {directory}", err=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if as_json:
        typer.echo(json.dumps(verdict.figures))
    for line in (*verdict.notes, *(f"VIOLATION: {violation}" for violation in verdict.violations)):
        typer.echo(f"{name}: {line}", err=True)
    return verdict


def _print_table(verdicts: list[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("scenario", *_ROWS.values(), title="Torture")
    for verdict in verdicts:
        colour = "red" if verdict.violations else "green"
        figures = verdict.figures
        table.add_row(f"[{colour}]{figures['scenario']}[/]", *(_shown(figures[name]) for name in _ROWS))
    Console().print(table)


def _shown(figure: object) -> str:
    return "-" if figure is None else str(figure)
