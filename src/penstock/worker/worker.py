"""``Worker``: starts and stops the roles, and counts what they did."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import Any

from penstock.core.acceptance import check_duration
from penstock.core.errors import ConfigurationError, QueueUnavailableError, WorkerError
from penstock.core.names import check_worker_id, new_nonce
from penstock.core.outcomes import Claimed
from penstock.core.retry import RetryPolicy
from penstock.store.beats import describe_beat_line, worker_info
from penstock.store.streams import RedisStreamsQueue, default_worker_id
from penstock.worker.attempt import AttemptRoom, perform_attempt
from penstock.worker.fetcher import Fetcher
from penstock.worker.handlers import Handlers, HandlerTable
from penstock.worker.heartbeat import Heartbeat
from penstock.worker.holdings import Holding, Holdings
from penstock.worker.janitor import Janitor
from penstock.worker.promoter import Promoter
from penstock.worker.reporter import Reporter
from penstock.worker.settler import Settler
from penstock.worker.stop_signals import StopSignals

LAST_SETTLE_SECONDS = 10.0
FORGET_AFTER_MS = 600_000
MOST_ATTEMPTS = 1000

logger = logging.getLogger("penstock.worker")


class Worker:
    """Runs the jobs of one queue.

    ``handlers`` is one handler for every job type, or a mapping from type to handler; a handler is
    an async function of a ``JobContext``, a plain function of it (run in a thread), or
    ``in_process(function)``. At most ``max_concurrent`` run at once. A job is tried again while the
    stricter of its own ``max_attempts`` and ``retry_policy`` allows. On SIGTERM or SIGINT no job is
    claimed any more; what still runs after ``grace_seconds`` is released without spending an attempt.
    """

    def __init__(
        self,
        queue: RedisStreamsQueue,
        handlers: Handlers,
        worker_id: str | None = None,
        max_concurrent: int = 10,
        retry_policy: RetryPolicy | None = None,
        grace_seconds: float = 30,
    ) -> None:
        """Check the arguments; raises ``ConfigurationError`` for one that cannot work."""
        if type(max_concurrent) is not int or not 1 <= max_concurrent <= 10_000:  # noqa: PLR2004 - stated in the message
            raise ConfigurationError(f"max_concurrent must be from 1 to 10000, got {max_concurrent!r}")
        self._queue = queue
        self._engine = queue.engine
        self._worker_id = check_worker_id(worker_id or default_worker_id())
        self._incarnation = f"{self._worker_id}:{new_nonce()}"
        self._grace_seconds = self._grace_now_seconds = check_duration(grace_seconds, "grace_seconds")
        self._handlers = HandlerTable(handlers, max_concurrent)
        self._policy = retry_policy or RetryPolicy(
            MOST_ATTEMPTS, queue.config.retry_base_delay, queue.config.retry_max_delay
        )
        self._max_concurrent = max_concurrent
        self._holdings = Holdings(max_concurrent)
        self._settler = Settler(self._engine, self._holdings)
        self._reporter = Reporter(self._engine)
        self._fetcher: Fetcher | None = None
        self._heartbeat: Heartbeat | None = None
        self._room: AttemptRoom | None = None
        self._started_at: float | None = None
        self._ended: asyncio.Event | None = None
        self._stopping = False
        self._hurry = asyncio.Event()
        self._failure: WorkerError | None = None

    @property
    def worker_id(self) -> str:
        """What this worker is called."""
        return self._worker_id

    @property
    def is_running(self) -> bool:
        """Whether the worker has started and not yet ended."""
        return self._ended is not None and not self._ended.is_set()

    @property
    def active_jobs(self) -> int:
        """How many handlers run now."""
        return self._holdings.running

    async def start(self) -> None:
        """Run until ``stop()`` or a signal. Raises ``WorkerError`` if the worker could not go on."""
        with StopSignals([self]):
            await self._live(until_idle=False)

    async def run(self) -> None:
        """Run until ``stop()``, leaving signals to the caller: for several workers in one process."""
        await self._live(until_idle=False)

    async def run_until_idle(self) -> None:
        """Run until nothing is ready and nothing runs; jobs that wait for a later time are left."""
        await self._live(until_idle=True)

    async def stop(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the name the API promises
        """Stop claiming, let work finish for ``timeout`` seconds, release the rest, and return.

        ``None`` means the worker's ``grace_seconds``. Calling it again while it waits releases at once.
        """
        if self._ended is None or self._ended.is_set():
            return
        if self._stopping:
            self._hurry.set()
        else:
            self._begin_stop(self._grace_seconds if timeout is None else timeout)
        await self._ended.wait()

    def get_stats(self) -> dict[str, Any]:
        """Counters since the start; ``jobs_processed`` counts settled attempts of every kind."""
        counted = self._settler.counted
        return {
            "worker_id": self._worker_id,
            "is_running": self.is_running,
            "active_jobs": self.active_jobs,
            "jobs_processed": counted.total(),
            "jobs_completed": counted["complete"],
            "jobs_failed": counted["fail"],
            "jobs_retried": counted["retry"],
            "jobs_cancelled": counted["cancel"],
            "jobs_released": counted["release"],
            "late_writes_refused": self._settler.refused_late + self._reporter.refused_late,
            "uptime_seconds": 0.0 if self._started_at is None else time.monotonic() - self._started_at,
        }

    async def _live(self, *, until_idle: bool) -> None:
        if self.is_running:
            raise WorkerError(f"worker {self._worker_id} is already running")
        self._ended = asyncio.Event()
        self._stopping, self._failure = False, None
        self._hurry.clear()
        self._started_at = time.monotonic()
        try:
            await self._work(until_idle=until_idle)
        finally:
            self._ended.set()
        if self._failure is not None:
            raise self._failure

    async def _work(self, *, until_idle: bool) -> None:
        info = worker_info(host=socket.gethostname(), pid=os.getpid(), concurrency=self._max_concurrent)
        await self._queue.prepare()
        await self._engine.renew(self._worker_id, self._incarnation, info, [], starting=True)
        line = describe_beat_line(
            self._engine, self._queue.queue_name, self._worker_id, self._incarnation, info
        )
        self._heartbeat = Heartbeat(
            line, self._engine.timings, self._holdings, self._engine.clock, self._give_up
        )
        promoter, janitor = Promoter(self._engine), Janitor(self._engine)
        self._room = AttemptRoom(
            self._engine,
            self._queue.queue_name,
            self._worker_id,
            self._handlers,
            self._policy,
            self._reporter,
            self._heartbeat.board.mark,
            self._heartbeat.post,
        )
        self._fetcher = Fetcher(self._engine, self._incarnation, self._holdings, self._begin, promoter.expect)
        try:
            await self._heartbeat.start()
            for role in (self._settler, self._reporter, promoter, janitor):
                for task in role.start():
                    task.add_done_callback(self._role_ended)
            logger.info("worker %s: running on %s", self._worker_id, self._engine.keys.base)
            await self._fetch(until_idle=until_idle)
        finally:
            for role in (promoter, janitor, self._reporter, self._settler):
                await role.stop()
            await self._heartbeat.stop()
            self._handlers.close()
            logger.info("worker %s: stopped", self._worker_id)

    async def _fetch(self, *, until_idle: bool) -> None:
        assert self._fetcher is not None  # noqa: S101 - made just before
        if self._stopping:
            # Asked to while it was starting, before there was a fetcher to tell.
            self._fetcher.stop()
        try:
            await (self._fetcher.run_until_idle() if until_idle else self._fetcher.run())
        except BaseException:
            # Cancelled from outside, or a fault: what runs must not go on without its worker.
            self._begin_stop(0)
            raise
        finally:
            await self._finish_up()

    def _role_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("worker %s: %s failed", self._worker_id, task.get_name(), exc_info=error)
            self._give_up(WorkerError(f"{task.get_name()} failed: {error!r}"))

    def _begin(self, jobs: list[Claimed]) -> None:
        assert self._heartbeat is not None  # noqa: S101 - the fetcher runs only after it was made
        fresh = [holding for claimed in jobs if (holding := self._holdings.add(claimed)) is not None]
        # On the board before a handler runs: a handler that blocks at once must find its lease renewed.
        self._heartbeat.post()
        create_task = asyncio.get_running_loop().create_task
        for holding in fresh:
            holding.task = create_task(self._attempt(holding))

    async def _attempt(self, holding: Holding) -> None:
        assert self._room is not None  # noqa: S101 - the fetcher runs only after it was made
        outcome = await perform_attempt(self._room, holding)
        self._holdings.handler_ended(holding)
        if outcome is None:
            self._holdings.drop(holding.claimed.id, holding.claimed.lease)
        else:
            self._settler.submit(outcome)

    def _begin_stop(self, grace_seconds: float) -> None:
        logger.info(
            "worker %s: stopping; %d jobs have %g s to finish",
            self._worker_id,
            self.active_jobs,
            grace_seconds,
        )
        self._stopping = True
        self._grace_now_seconds = grace_seconds
        if self._fetcher is not None:
            self._fetcher.stop()

    def _give_up(self, failure: WorkerError) -> None:
        if self._failure is not None:
            return
        logger.error("worker %s: %s", self._worker_id, failure)
        self._failure = failure
        self._hurry.set()
        self._begin_stop(0)

    async def _finish_up(self) -> None:
        """Grace for what runs, release for what is left, and the last outcomes settled."""
        await self._wait_for_handlers(self._grace_now_seconds)
        if self.active_jobs:
            logger.warning("worker %s: releasing %d jobs", self._worker_id, self.active_jobs)
            self._holdings.stop_all("release")
            self._hurry.clear()
            await self._wait_for_handlers(LAST_SETTLE_SECONDS)
        await self._settler.drain(LAST_SETTLE_SECONDS)
        try:
            await self._engine.call(
                "retire", {"group": self._engine.config.consumer_group, "silent_ms": FORGET_AFTER_MS}
            )
        except QueueUnavailableError:
            logger.warning("worker %s: the server is away; its entry goes by itself", self._worker_id)

    async def _wait_for_handlers(self, seconds: float) -> None:
        hurry = asyncio.create_task(self._hurry.wait())
        quiet = asyncio.create_task(self._no_handlers())
        await asyncio.wait([hurry, quiet], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (hurry, quiet):
            task.cancel()

    async def _no_handlers(self) -> None:
        while self.active_jobs:
            self._holdings.changed.clear()
            await self._holdings.changed.wait()
