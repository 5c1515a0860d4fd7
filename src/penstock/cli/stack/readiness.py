"""Waiting until a stack serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final

import aiohttp

from penstock.cli.stack.process import ServiceProcess
from penstock.core.errors import WorkerError
from penstock.core.settings import ServiceSettings

READY_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05
_HTTP_OK: Final = 200


async def until_ready(
    processes: Sequence[ServiceProcess],
    url: str,
    worker_ids: Collection[str],
    settings: ServiceSettings,
    redis_url: str,
) -> None:
    """Return when the API answers and the workers have registered.

    Raises `WorkerError`, with the last words of a service, when one ends or the time is over.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not await _answers(url):
        check(processes)
        _in_time(deadline, "the API")
        await asyncio.sleep(LOOK_SECONDS)
    missing = set(worker_ids)
    from penstock.runs.queues import open_run_queue
    from penstock.store.workers import list_workers

    queue = await open_run_queue(settings, redis_url)
    try:
        while missing:
            check(processes)
            _in_time(deadline, ", ".join(sorted(missing)))
            # One that was killed stays on the list for a while: only a beat of now counts.
            missing -= {
                one.worker_id for one in await list_workers(queue) if one.silent_seconds < READY_SECONDS / 30
            }
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await queue.close()


def check(processes: Sequence[ServiceProcess]) -> None:
    """Raise `WorkerError` with the last words of a service that has ended."""
    for process in processes:
        if process.exit_code is not None:
            raise WorkerError(
                f"{process.name} ended with code {process.exit_code}. Its last words:\n{process.last_words}"
            )


def _in_time(deadline: float, who: str) -> None:
    if time.monotonic() > deadline:
        raise WorkerError(f"{who} was not ready within {READY_SECONDS:g} s")


async def _answers(url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url}/healthz") as response,
        ):
            return response.status == _HTTP_OK
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
