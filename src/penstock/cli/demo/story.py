"""The demo from beginning to end: a batch, a killed worker, and the same batch completed."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock import RedisStreamsQueue, create_redis_queue
from penstock.cli.demo.batch import Batch
from penstock.cli.demo.discovery import FoundDocument, find_documents
from penstock.cli.demo.large import write_large_text
from penstock.cli.demo.outcome import Outcome
from penstock.cli.demo.play import Play
from penstock.cli.demo.processes import WorkerProcesses
from penstock.cli.demo.signals import StopRequest, stop_on_signals
from penstock.cli.demo.view import View
from penstock.core.errors import ConfigurationError, WorkerError
from penstock.core.names import new_nonce
from penstock.store.embedded import engine
from penstock.store.removal import remove_queue
from penstock.store.workers import list_workers

WORKERS_READY_SECONDS = 30.0
LOOK_SECONDS = 0.05
# The large document comes a little after the start, so that both workers are at work by then.
LARGE_AFTER = 8


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for; all paths are absolute."""

    folder: Path
    report: Path
    worker_count: int
    most_files: int


async def run_demo(options: DemoOptions, view: View) -> Outcome:
    """Run the whole demo and return its numbers; all it started and wrote is gone but the report.

    Raises:
        ConfigurationError: the folder has no text file, or the report cannot be written there.
        EmbeddedServerError: no server is given, and none can be started.
        QueueUnavailableError: the given server cannot be reached, or went away.
        WorkerError: a worker that nobody killed ended, or the batch did not end in time.
        DemoStopped: a signal asked for it.
    """
    begun = time.monotonic()
    _check_report(options.report)
    with stop_on_signals() as stop, tempfile.TemporaryDirectory(prefix="penstock-demo-") as scratch:
        directory = Path(scratch)
        documents, large = await _gather(options, directory, view)
        async with (
            _queue_of_its_own(directory, view) as (queue, url),
            WorkerProcesses(options.worker_count, queue.queue_name, url, directory) as processes,
        ):
            await _until_ready(queue, processes, stop)
            pids = ", ".join(f"{one.worker_id} (process {one.pid})" for one in processes.workers)
            view.say(f"Workers are ready: {pids}.")
            batch = Batch(documents, large, directory / "ledger.jsonl")
            play = Play(queue, processes, batch, view, stop, begun)
            story = {"folder": options.folder.name, "generated": _generated(large, directory)}
            return await play.run(options.report, story)


def _check_report(report: Path) -> None:
    if report.is_dir() or not os.access(report.parent, os.W_OK):
        raise ConfigurationError(
            f"the report cannot be written to {report}: expected a file in a folder that can be written"
        )


async def _gather(
    options: DemoOptions, directory: Path, view: View
) -> tuple[list[FoundDocument], FoundDocument]:
    """The documents in the order of their jobs, and the large one among them."""
    discovery = await asyncio.to_thread(
        find_documents, options.folder, leave_out=options.report, most_files=options.most_files
    )
    documents = discovery.documents
    if not documents:
        raise ConfigurationError(
            f"{options.folder} has no text file to analyse: expected a folder with some documents"
        )
    left_out = ", ".join(f"{count} {reason}" for reason, count in discovery.skipped.items())
    note = f" Left out: {left_out}." if left_out else ""
    view.say(f"{len(documents)} text files in {options.folder.name or options.folder}.{note}")
    large = max((each for each in documents if each.is_large), key=lambda each: each.size_bytes, default=None)
    if large is None:
        large = await asyncio.to_thread(write_large_text, documents, directory)
        view.say(
            f"None is large, so one of {large.size_bytes / 1024**2:.0f} MiB is made of their prose "
            "for the time of the demo."
        )
    else:
        documents.remove(large)
        view.say(f"The large one is {large.name}, {large.size_bytes / 1024**2:.0f} MiB.")
    documents.insert(min(LARGE_AFTER, len(documents)), large)
    return documents, large


def _generated(large: FoundDocument, directory: Path) -> str | None:
    return large.name if large.path.is_relative_to(directory) else None


@asynccontextmanager
async def _queue_of_its_own(directory: Path, view: View) -> AsyncIterator[tuple[RedisStreamsQueue, str]]:
    """A queue that only the demo knows, on the given server or on an embedded one."""
    given = os.environ.get("PENSTOCK_REDIS_URL")
    async with engine(given, directory / "valkey") as url:
        view.say("Running on the server of PENSTOCK_REDIS_URL." if given else "Valkey is started.")
        queue = await create_redis_queue(url, queue_name=f"demo-{new_nonce()}")
        try:
            yield queue, url
        finally:
            if given:
                await remove_queue(queue)
            await queue.close()


async def _until_ready(queue: RedisStreamsQueue, processes: WorkerProcesses, stop: StopRequest) -> None:
    """Wait until every worker has said that it is there, so that a killed one has a successor."""
    wanted = {worker.worker_id for worker in processes.workers}
    deadline = time.monotonic() + WORKERS_READY_SECONDS
    while not wanted <= {worker.worker_id for worker in await list_workers(queue)}:
        stop.check()
        processes.check()
        if time.monotonic() > deadline:
            raise WorkerError(f"the workers were not ready within {WORKERS_READY_SECONDS:g} s")
        await asyncio.sleep(LOOK_SECONDS)
