"""A worker process for the tests, with leases shorter than the command line allows.

`python -m tests.worker.fleet '{"handlers": "tests.worker.jobs:handlers", "worker_id": "w1", …}'`
logs to standard error and prints the worker's counters as its last line on standard output.
"""

import asyncio
import importlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from penstock import LeaseTimings, RetryPolicy, Schedule, Worker, create_redis_queue
from penstock.core.errors import PenstockError
from penstock.worker import attempt

FAST = LeaseTimings(beat_seconds=0.3, presumed_dead_seconds=1.5, stall_seconds=4.0)
QUICK_RETRIES = RetryPolicy(1000, base_delay_seconds=0.05, max_delay_seconds=1.0, jitter=False)


class FileClock:
    """A clock that many processes share: a file with the time in ms, which the test writes."""

    def __init__(self, path: str) -> None:
        """Read the time from ``path``."""
        self._path = Path(path)

    def script_time_ms(self) -> int:
        """What the file says now."""
        return int(self._path.read_text())


async def work(given: dict[str, Any]) -> dict[str, Any]:
    """Run one worker until it is told to stop; returns its counters."""
    timings = LeaseTimings(*given["timings"]) if "timings" in given else FAST
    module, _, name = str(given["handlers"]).partition(":")
    handlers = getattr(importlib.import_module(module), name)
    queue = await create_redis_queue(
        given.get("url") or os.environ["PENSTOCK_REDIS_URL"],
        queue_name=given.get("queue", "default"),
        timings=timings,
        clock=FileClock(given["clock"]) if "clock" in given else None,
    )
    worker = Worker(
        queue,
        handlers,
        worker_id=given.get("worker_id"),
        max_concurrent=given.get("concurrency", 10),
        retry_policy=QUICK_RETRIES if given.get("quick_retries", True) else None,
        grace_seconds=given.get("grace_seconds", 30.0),
        schedules=[Schedule(**each) for each in given.get("schedules", [])],
    )
    try:
        await worker.start()
    finally:
        await queue.close()
    return worker.get_stats()


def main() -> int:
    """Run the worker described by the first argument; exit code 1 when it could not go on."""
    given = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    attempt.UNKNOWN_TYPE_DELAY_MS = given.get("unknown_type_delay_ms", attempt.UNKNOWN_TYPE_DELAY_MS)
    try:
        counters = asyncio.run(work(given))
    except PenstockError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(counters) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
