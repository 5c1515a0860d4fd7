"""The demo from beginning to end: texts laid out, a stack started, the play, the record, all gone."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.api.auth import Authenticator
from penstock.cli.demo.api_client import ApiClient
from penstock.cli.demo.goals import read_goals
from penstock.cli.demo.history import HistoryRow, read_rows
from penstock.cli.demo.ledger import LedgerReader
from penstock.cli.demo.library import LARGE_BYTES, LARGE_NAME, lay_out
from penstock.cli.demo.outcome import Outcome
from penstock.cli.demo.play import Play, Scene
from penstock.cli.demo.receiver import Receiver
from penstock.cli.demo.signals import StopRequest, stop_on_signals
from penstock.cli.demo.view import View
from penstock.cli.demo.worker import LEDGER_VARIABLE
from penstock.cli.stack.stack import Stack, StackPlan, running_stack
from penstock.core.settings import ServiceSettings
from penstock.executors.offline import OFFLINE
from penstock.runs.history import open_history

ACTOR: Final = "demo"
RUNS_A_WORKER: Final = 3
_DEMO_WORKER: Final = "penstock.cli.demo.worker"
_LOOK_SECONDS: Final = 0.05
# Whatever model the user has set: a demo must not be paid for.
_OFFLINE: Final = {"PENSTOCK_MODEL": OFFLINE}


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for; all paths are absolute."""

    goals: Path
    texts: Path
    worker_count: int


async def run_demo(options: DemoOptions, view: View) -> tuple[Outcome, list[HistoryRow]]:
    """Run the whole demo; its numbers, and its runs as PostgreSQL had them. Nothing is left behind.

    Raises:
        ConfigurationError: the goals or the texts cannot be used.
        EmbeddedServerError: an engine cannot be started.
        WorkerError: a process that nobody killed ended, or the runs did not end in time.
        DemoStopped: a signal asked for it.
    """
    begun = time.monotonic()
    goals = read_goals(options.goals)
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="penstock-demo-") as scratch:
        directory = Path(scratch)
        library = await asyncio.to_thread(lay_out, options.texts, directory / "texts")
        view.say(
            f"{library.count} texts of {library.size_bytes / 1024:.0f} KiB, and {LARGE_NAME} of "
            f"{LARGE_BYTES / 1024**2:.0f} MiB, which repeats them, for a step that takes its time."
        )
        ledger = directory / "ledger.jsonl"
        plan = _plan(directory, options.worker_count)
        async with (
            running_stack(
                plan,
                view.say,
                _unheard,
                directory=directory,
                variables={LEDGER_VARIABLE: str(ledger), **_OFFLINE},
            ) as stack,
            Receiver() as receiver,
            _caller(stack) as client,
            open_history(stack.engines.database_url) as history,
        ):
            await _until_ready(stack, stop)
            view.say(_introduction(stack))
            assert history is not None  # noqa: S101 - there is one whenever there is a URL
            scene = Scene(stack, client, receiver, history, LedgerReader(ledger), view, stop, begun)
            outcome = await Play(scene).run(goals, ACTOR)
            return outcome, await read_rows(history, ACTOR)


def _plan(directory: Path, worker_count: int) -> StackPlan:
    return StackPlan(
        data_dir=directory / "data",
        workspace=directory / "texts",
        worker_ids=tuple(f"worker-{number}" for number in range(1, worker_count + 1)),
        settings=ServiceSettings(),
        worker_module=_DEMO_WORKER,
        concurrency=RUNS_A_WORKER,
    )


@asynccontextmanager
async def _caller(stack: Stack) -> AsyncIterator[ApiClient]:
    token = Authenticator(stack.secret_key).issue(ACTOR)
    async with ApiClient(stack.url, token, ACTOR) as client:
        yield client


async def _until_ready(stack: Stack, stop: StopRequest) -> None:
    ready = asyncio.create_task(stack.ready())
    try:
        while not ready.done():
            stop.check()
            await asyncio.wait([ready], timeout=_LOOK_SECONDS)
        await ready
    finally:
        ready.cancel()
        await asyncio.gather(ready, return_exceptions=True)


def _introduction(stack: Stack) -> str:
    services = ", ".join(f"{one.name} (process {one.pid})" for one in stack.supervisor.processes)
    return f"Running: {services}. The API is at {stack.url}."


def _unheard(_name: str, _line: str) -> None:
    """Logs of the services are shown only when one of them fails."""
