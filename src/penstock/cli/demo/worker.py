"""`python -m penstock.cli.demo.worker worker …`: the built-in worker, with a witness to its agents.

It takes the words of `penstock worker`; the ledger's path comes in the environment.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.builtin import work_on_builtin_kinds
from penstock.cli.demo.witness import witnessed
from penstock.cli.options import run
from penstock.cli.stack.leash import stop_with_parent
from penstock.cli.working import WorkOptions

LEDGER_VARIABLE = "PENSTOCK_DEMO_LEDGER"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def demo() -> None:
    """The demo's processes."""


@app.command()
def worker(
    worker_id: Annotated[str, typer.Option("--worker-id")],
    concurrency: Annotated[int, typer.Option("--concurrency")],
    grace_seconds: Annotated[float, typer.Option("--grace-seconds")],
    log_level: Annotated[str, typer.Option("--log-level")],
) -> None:
    """Run agents and deliveries until a signal."""
    from penstock.observe import logging

    logging.configure(log_level)
    run(
        work_on_builtin_kinds(
            WorkOptions(None, worker_id, concurrency, grace_seconds, None),
            around_agents=partial(witnessed, ledger=Path(os.environ[LEDGER_VARIABLE])),
        )
    )


if __name__ == "__main__":
    stop_with_parent()
    app()
