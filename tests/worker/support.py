"""What the worker tests share: waiting for facts in Redis, workers in this loop and in processes."""

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from penstock import Job, JobStatus, LeaseTimings, RedisStreamsQueue, Worker
from penstock.store.scripts import load, scripts_by_call
from tests.harness.ledger import Ledger
from tests.harness.processes import ManagedProcess, ProcessStarter
from tests.harness.rules import Match, script
from tests.harness.waiting import WaitTimeout
from tests.worker.fleet import FAST

T = TypeVar("T")
LOOK_AGAIN_SECONDS = 0.02
STATUSES_AT_ONCE = 20


async def until(
    probe: Callable[[], Awaitable[T | None]],
    timeout_seconds: float = 20.0,
    describe: Callable[[], str] = lambda: "it did not come true",
) -> T:
    """The first true value of `probe`. Raises WaitTimeout when there is none in time."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        found = await probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise WaitTimeout(f"after {timeout_seconds} s: {describe()}")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def statuses(queue: RedisStreamsQueue, ids: Iterable[str]) -> list[Job]:
    """The jobs as they stand."""
    wanted = list(ids)
    jobs: list[Job | None] = []
    for at in range(0, len(wanted), STATUSES_AT_ONCE):
        few = wanted[at : at + STATUSES_AT_ONCE]
        jobs += await asyncio.gather(*(queue.get_status(job_id) for job_id in few))
    assert all(job is not None for job in jobs), f"a job is gone: {jobs}"
    return [job for job in jobs if job is not None]


async def ended(
    queue: RedisStreamsQueue, ids: Sequence[str], timeout_seconds: float = 20.0
) -> dict[str, Job]:
    """The jobs by id as soon as all of them have ended."""
    seen: list[Job] = []

    async def all_ended() -> bool:
        seen[:] = await statuses(queue, ids)
        return all(job.status.is_final for job in seen)

    await until(all_ended, timeout_seconds, lambda: f"{[(j.id, j.status, j.error) for j in seen]}")
    return {job.id: job for job in seen}


async def completed(
    queue: RedisStreamsQueue, ids: Sequence[str], timeout_seconds: float = 20.0
) -> dict[str, Job]:
    """The jobs by id as soon as all have ended, all of them well."""
    jobs = await ended(queue, ids, timeout_seconds)
    assert {job.status for job in jobs.values()} == {JobStatus.COMPLETED}, jobs
    return jobs


async def has_status(
    queue: RedisStreamsQueue, job_id: str, status: JobStatus, timeout_seconds: float = 20.0
) -> Job:
    """The job as soon as it has that status."""
    seen: list[Job | None] = [None]

    async def there() -> Job | None:
        job = seen[0] = await queue.get_status(job_id)
        return job if job is not None and job.status is status else None

    return await until(there, timeout_seconds, lambda: f"{status} awaited, seen {seen[0]}")


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator["asyncio.Task[None]"]:
    """The worker in this loop, stopped at the end; raises what `start` raised."""
    task = asyncio.create_task(worker.start())
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        await worker.stop(0)
        await task


def starts(ledger: Ledger) -> Counter[str]:
    """How often each job was started."""
    return Counter(entry["job"] for entry in ledger.entries("start"))


class Workers:
    """Worker processes of one test; see `tests.worker.fleet` for what they are given."""

    def __init__(self, processes: ProcessStarter, directory: Path) -> None:
        self._processes = processes
        self._directory = directory
        self._count = 0

    async def start(
        self,
        *,
        ready: bool = True,
        handlers: str = "tests.worker.jobs:handlers",
        timings: LeaseTimings = FAST,
        **given: Any,
    ) -> ManagedProcess:
        """Start a worker; returns when it runs, unless told otherwise."""
        self._count += 1
        description = {
            "worker_id": f"w{self._count}",
            "handlers": handlers,
            "timings": [timings.beat_seconds, timings.presumed_dead_seconds, timings.stall_seconds],
            **given,
        }
        process = await self._processes.python("-m", "tests.worker.fleet", json.dumps(description))
        if ready:
            await process.line("running on", timeout_seconds=30)
        return process

    def gate(self, name: str = "gate") -> Path:
        """A file that gated handlers wait for; `touch()` opens it."""
        return self._directory / name


def calls(*names: str) -> Match:
    """Matches the engine's calls by their names, for rules of a fault proxy."""
    sources = [load(each).source.encode() for name in names for each in scripts_by_call()[name]]
    return script(*(hashlib.sha1(source, usedforsecurity=False).hexdigest() for source in sources))


def counters(process: ManagedProcess) -> dict[str, Any]:
    """What an ended worker printed last."""
    found: dict[str, Any] = json.loads(process.stdout[-1])
    return found


def heartbeat_pids(worker: ManagedProcess) -> list[int]:
    """The heartbeat processes of a worker process."""
    return [pid for pid in children(worker.pid) if "beat_process" in command_of(pid)]


def children(pid: int) -> list[int]:
    """The children of a process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid and words[0] != "Z":
            found.append(int(entry.name))
    return found


def command_of(pid: int) -> str:
    """The command line of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


async def file_there(path: Path) -> bool:
    """Whether another process has written the file."""
    return path.exists() and path.stat().st_size > 0  # noqa: ASYNC240 - one look


def is_running(pid: int) -> bool:
    """Whether a process is there."""
    return command_of(pid) != ""
