"""`penstock torture`: real processes under seeded faults, and a verdict."""

from __future__ import annotations

import json
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
    "faults": "faults dealt",
    "lost": "lost",
    "settled_twice": "settled twice",
    "extra_starts": "extra starts",
    "in_flight_at_kills": "in flight at kills",
    "zombies_refused": "late writes refused",
    "failed": "failed",
    "stuck": "stuck",
    "recovery_p99_s": "recovery p99, s",
    "keys_left": "keys left",
}


def torture(
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", "-s", min=1, metavar="S", help="Time under faults, shared by the scenarios."
        ),
    ] = 60.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Which faults strike, and when.")] = 1,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", metavar="NAME", help="Only this one; may be repeated.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
    redis_url: RedisUrlOption = None,
) -> None:
    """Kill, freeze and cut off workers and server at random, then audit.

    Each scenario works through short jobs with three worker processes, strikes,
    waits until all is done, and holds what handlers wrote to a ledger on disk
    against what the queue says. The server is an embedded one unless
    [bold]--redis-url[/] names another, which is never killed.

    Exit code 1 means that a guarantee was broken.

    [bold]Examples[/]

      penstock torture --seconds 30 --seed 7
      penstock torture --scenario workers-killed --json
    """
    chosen = _checked(scenario)
    verdicts = [run(_run(name, seconds / len(chosen), seed, redis_url, as_json=as_json)) for name in chosen]
    if not as_json:
        _print_table(verdicts)
    if any(verdict.violations for verdict in verdicts):
        raise typer.Exit(ExitCode.FAILED)


def _checked(wanted: list[str] | None) -> list[str]:
    from penstock.torture.faults import SCENARIOS

    for name in wanted or []:
        if name not in SCENARIOS:
            raise typer.BadParameter(
                f"{name!r} is not one of {', '.join(SCENARIOS)}.", param_hint="--scenario"
            )
    return wanted or list(SCENARIOS)


async def _run(name: str, seconds: float, seed: int, redis_url: str | None, *, as_json: bool) -> Verdict:
    from penstock.torture.scenario import run_scenario

    if not as_json:
        typer.echo(f"{name}: {seconds:.0f} s under faults, seed {seed}", err=True)
    with tempfile.TemporaryDirectory(prefix="penstock-torture-") as directory:
        verdict = await run_scenario(name, seconds, seed, Path(directory), redis_url)
    if as_json:
        typer.echo(json.dumps(verdict.figures | {"violations": verdict.violations}))
    return verdict


def _print_table(verdicts: list[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", title="Torture")
    for verdict in verdicts:
        colour = "red" if verdict.violations else "green"
        table.add_column(verdict.figures["scenario"].replace("-", "\n"), justify="right", header_style=colour)
    for name, label in _ROWS.items():
        table.add_row(label, *(_shown(verdict.figures[name]) for verdict in verdicts))
    console = Console()
    console.print(table)
    for verdict in verdicts:
        for violation in verdict.violations:
            console.print(f"[red]{verdict.figures['scenario']}:[/] {violation}")


def _shown(figure: object) -> str:
    return "-" if figure is None else str(figure)
