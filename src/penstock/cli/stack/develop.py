"""What `penstock dev` does: a stack that is kept running until a signal."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from penstock.api.auth import Authenticator
from penstock.cli.stack.stack import Stack, StackPlan, running_stack
from penstock.core.names import new_nonce
from penstock.core.settings import get_service_settings
from penstock.observe.logging import FORMAT_VARIABLE

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEV_ACTOR: Final = "dev"
TOKEN_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class DevOptions:
    """What the command line asked for; `data_dir` is absolute."""

    host: str
    port: int
    data_dir: Path
    workers: int
    log_level: str


async def develop(options: DevOptions) -> None:
    """Run a stack, start anew what dies in it, and stop it in order at the first signal.

    Raises what `running_stack` and `Stack.ready` raise.
    """
    settings = get_service_settings()
    # A name that no other machine uses on a server that was given.
    family = f"dev-{new_nonce()}"
    plan = StackPlan(
        data_dir=options.data_dir,
        workspace=settings.workspace.resolve(),
        worker_ids=tuple(f"{family}-{number}" for number in range(1, options.workers + 1)),
        settings=settings,
        host=options.host,
        port=options.port,
        log_level=options.log_level,
        redis_url=os.environ.get("PENSTOCK_REDIS_URL"),
        database_url=settings.database_url,
    )
    with _stop_signals() as stopping:
        async with running_stack(plan, _tell, _echo, variables=_log_format()) as stack:
            if await _comes_up(stack, stopping):
                stack.supervisor.keep_alive()
                _welcome(stack)
                await stopping.wait()
            _tell("Stopping: API, workers, keeper, engines.")
    _tell(f"Stopped. The data is kept in {options.data_dir}.")


async def _comes_up(stack: Stack, stopping: asyncio.Event) -> bool:
    """Wait until the stack serves; `False` when asked to stop before that."""
    ready = asyncio.create_task(stack.ready())
    asked = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([ready, asked], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            await ready
        return ready.done()
    finally:
        for task in (ready, asked):
            task.cancel()
        await asyncio.gather(ready, asked, return_exceptions=True)


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that is set by the first signal that asks for a stop."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, asked.set)
    try:
        yield asked
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


def _welcome(stack: Stack) -> None:
    token = Authenticator(stack.secret_key).issue(DEV_ACTOR, lifetime_seconds=TOKEN_SECONDS)
    body = f'{{"goal": "Count the files.", "actor": "{DEV_ACTOR}"}}'
    data_dir = shlex.quote(str(stack.plan.data_dir))
    lines = [
        "",
        f"  API        {stack.url}   (interactive: {stack.url}/docs)",
        f"  Files      {stack.plan.workspace}   (what agents work on)",
        f"  Token      penstock token --actor NAME --data-dir {data_dir}",
        "  Webhooks   may go to loopback addresses here, such as http://127.0.0.1:9000/hook",
        "",
        "  Try it (the token is valid for a day):",
        "",
        f"    curl -X POST '{stack.url}/act' \\",
        f"      -H 'Authorization: Bearer {token}' \\",
        f"      -d '{body}'",
        "",
        "Ready. Ctrl-C stops everything.",
    ]
    typer.echo("\n".join(lines))


def _log_format() -> dict[str, str]:
    """Services write to a pipe; what their lines look like depends on where those end up."""
    return {FORMAT_VARIABLE: "text"} if sys.stderr.isatty() else {}


def _tell(text: str) -> None:
    typer.echo(text)


def _echo(name: str, line: str) -> None:
    typer.echo(f"{name}: {line}", err=True)
