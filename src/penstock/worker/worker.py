"""``Worker``: starts and stops the roles, and counts what they did."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from penstock.core.acceptance import check_duration
from penstock.core.errors import ConfigurationError, QueueUnavailableError, WorkerError
from penstock.core.names import check_worker_id, new_nonce
from penstock.core.outcomes import Claimed
from penstock.core.retry import RetryPolicy
from penstock.core.schedule import Schedule
from penstock.store.beats import describe_beat_line, worker_info
from penstock.store.streams import RedisStreamsQueue, default_worker_id
from penstock.worker.attempt import AttemptRoom, perform_attempt
from penstock.worker.calls import Calls
from penstock.worker.current import CurrentQueue, current_queue
from penstock.worker.dispatch import Dispatcher
from penstock.worker.fetcher import Fetcher
from penstock.worker.grace import wait_for_handlers
from penstock.worker.handlers import Handlers, HandlerTable, WorkerTask
from penstock.worker.heartbeat import Heartbeat
from penstock.worker.holdings import Holding, Holdings
from penstock.worker.janitor import Janitor
from penstock.worker.middleware import Middleware, check_middleware
from penstock.worker.promoter import Promoter
from penstock.worker.recycling import Recycler
from penstock.worker.reporter import Reporter
from penstock.worker.resources import Resources
from penstock.worker.scheduler import Scheduler
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
    ``in_process(function)``. ``tasks`` are functions decorated with ``@task``, each for the type of
    its name. ``middleware`` is put around all of them, the first outermost, and
    ``dependency_overrides`` says what tasks use in place of a provider.

    At most ``max_concurrent`` run at once. A job is tried again while the stricter of its own
    ``max_attempts`` and ``retry_policy`` (or its task's own) allows. On SIGTERM or SIGINT no job is
    claimed any more; what still runs after ``grace_seconds`` is released without spending an attempt.
    A worker that has begun ``max_jobs`` jobs, or holds more than ``max_rss_mb`` megabytes, stops like
    that by itself, for a fresh process to take its place. It puts ``schedules`` on their queue at its start.
    """

    def __init__(  # noqa: PLR0913 - what a worker may be told, by name
        self,
        queue: RedisStreamsQueue,
        handlers: Handlers | None = None,
        worker_id: str | None = None,
        max_concurrent: int = 10,
        retry_policy: RetryPolicy | None = None,
        grace_seconds: float = 30,
        *,
        tasks: Iterable[WorkerTask] = (),
        middleware: Sequence[Middleware] = (),
        dependency_overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
        max_jobs: int | None = None,
        max_rss_mb: float | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        """Check the arguments; raises ``ConfigurationError`` for one that cannot work."""
        if type(max_concurrent) is not int or not 1 <= max_concurrent <= 10_000:  # noqa: PLR2004 - stated in the message
            raise ConfigurationError(f"max_concurrent must be from 1 to 10000, got {max_concurrent!r}")
        self._queue = queue
        self._engine = queue.engine
        self._worker_id = check_worker_id(worker_id or default_worker_id())
        self._incarnation = f"{self._worker_id}:{new_nonce()}"
        self._grace_seconds = self._grace_now_seconds = check_duration(grace_seconds, "grace_seconds")
        self._middleware = check_middleware(middleware)
        self._resources = Resources(dependency_overrides)
        self._handlers = HandlerTable(handlers, max_concurrent, tasks, self._resources)
        self._recycler = Recycler(max_jobs, max_rss_mb, self._recycle)
        self._policy = retry_policy or RetryPolicy(
            MOST_ATTEMPTS, queue.config.retry_base_delay, queue.config.retry_max_delay
        )
        self._max_concurrent = max_concurrent
        self._holdings = Holdings(max_concurrent)
        self._settler = Settler(self._engine, self._holdings)
        self._reporter = Reporter(self._engine)
        self._scheduler = Scheduler(queue, schedules)
        self._calls = Calls(self._engine, self._holdings, self._scheduler.wake)
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
    def is_stopping(self) -> bool:
        """Whether the worker claims no more: it was told to stop, or makes room, or has ended."""
        return self._stopping

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
        return {
            "worker_id": self._worker_id,
            "is_running": self.is_running,
            "active_jobs": self.active_jobs,
            **self._settler.counts(),
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
        # Inherited by every handler, so that what it enqueues goes where its own job came from.
        token = current_queue.set(CurrentQueue(self._queue, asyncio.get_running_loop()))
        try:
            await self._queue.prepare()
            await self._resources.open()
            try:
                await self._work(until_idle=until_idle)
            finally:
                await self._resources.close()
        finally:
            current_queue.reset(token)
            self._ended.set()
        if self._failure is not None:
            raise self._failure

    async def _work(self, *, until_idle: bool) -> None:
        info = worker_info(host=socket.gethostname(), pid=os.getpid(), concurrency=self._max_concurrent)
        await self._engine.renew(self._worker_id, self._incarnation, info, [], starting=True)
        line = describe_beat_line(
            self._engine, self._queue.queue_name, self._worker_id, self._incarnation, info
        )
        self._heartbeat = Heartbeat(
            line, self._engine.timings, self._holdings, self._engine.clock, self._give_up
        )
        promoter, janitor = Promoter(self._engine, self._queue.ferry()), Janitor(self._engine)
        roles = self._settler, self._reporter, promoter, janitor, self._scheduler, self._recycler, self._calls
        self._room = AttemptRoom(
            self._engine,
            self._queue.queue_name,
            self._worker_id,
            self._handlers,
            self._policy,
            self._reporter,
            Dispatcher(self._handlers, self._heartbeat.board.mark, self._heartbeat.post, self._middleware),
        )
        self._fetcher = Fetcher(self._engine, self._incarnation, self._holdings, self._begin, promoter.expect)
        try:
            await self._heartbeat.start()
            await self._scheduler.prepare()
            for task in (task for role in roles for task in role.start()):
                task.add_done_callback(self._role_ended)
            logger.info("worker %s: running on %s", self._worker_id, self._engine.keys.base)
            await self._fetch(until_idle=until_idle)
        finally:
            for role in reversed(roles):
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

    def _role_ended(self, task: asyncio.Task[Any]) -> None:
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
        self._recycler.count(len(fresh))

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

    def _recycle(self, reason: str) -> None:
        if not self._stopping:
            logger.info("worker %s: makes room for a fresh process: %s", self._worker_id, reason)
            self._begin_stop(self._grace_seconds)

    def _give_up(self, failure: WorkerError) -> None:
        if self._failure is not None:
            return
        logger.error("worker %s: %s", self._worker_id, failure)
        self._failure = failure
        self._hurry.set()
        self._begin_stop(0)

    async def _finish_up(self) -> None:
        """Grace for what runs, release for what is left, and the last outcomes settled."""
        await wait_for_handlers(self._holdings, self._hurry, self._grace_now_seconds)
        if self.active_jobs:
            logger.warning("worker %s: releasing %d jobs", self._worker_id, self.active_jobs)
            self._holdings.stop_all("release")
            self._hurry.clear()
            await wait_for_handlers(self._holdings, self._hurry, LAST_SETTLE_SECONDS)
        await self._settler.drain(LAST_SETTLE_SECONDS)
        try:
            await self._engine.call(
                "retire", {"group": self._engine.config.consumer_group, "silent_ms": FORGET_AFTER_MS}
            )
        except QueueUnavailableError:
            logger.warning("worker %s: the server is away; its entry goes by itself", self._worker_id)
