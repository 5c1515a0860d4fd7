"""The kinds of jobs that Penstock runs itself: agent runs and webhook deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.core.settings import ServiceSettings
    from penstock.worker.context import JobContext
    from penstock.worker.worker import Worker

Handler: TypeAlias = "Callable[[JobContext], Awaitable[Any]]"
Around: TypeAlias = "Callable[[Handler], Handler]"

LEAST_DELIVERIES = 10


async def work_on_builtin_kinds(
    *,
    queue: str | None,
    worker_id: str | None,
    concurrency: int,
    grace_seconds: float,
    redis_url: str | None,
    around_agents: Around | None = None,
) -> None:
    """Run all built-in kinds, or the one of ``queue``, until a signal.

    ``around_agents`` is put around the handler of agent runs. Raises ``ConfigurationError`` for a
    queue that carries no built-in kind.
    """
    from penstock.core.settings import get_service_settings
    from penstock.worker.stop_signals import StopSignals

    settings = get_service_settings()
    known = (settings.run_queue, settings.webhook_queue)
    if queue is not None and queue not in known:
        raise ConfigurationError(
            f"queue {queue!r} carries no built-in kind of job: name its handlers with --handlers, "
            f"or take {' or '.join(known)}"
        )
    async with AsyncExitStack() as stack:
        workers = [
            await _open(
                stack,
                settings,
                name,
                worker_id=worker_id,
                concurrency=concurrency,
                grace_seconds=grace_seconds,
                redis_url=redis_url,
                around_agents=around_agents,
            )
            for name in known
            if queue in (None, name)
        ]
        with StopSignals(workers):
            await _run_all(workers)


async def _run_all(workers: list[Worker]) -> None:
    """One worker that cannot go on takes the others down in order: the process is then started anew."""
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    if not all(task.done() for task in tasks):
        # Not after a signal: asked twice, a worker would not let its jobs finish.
        await asyncio.gather(*(worker.stop() for worker in workers))
    await asyncio.gather(*tasks)


async def _open(
    stack: AsyncExitStack,
    settings: ServiceSettings,
    queue: str,
    *,
    worker_id: str | None,
    concurrency: int,
    grace_seconds: float,
    redis_url: str | None,
    around_agents: Around | None,
) -> Worker:
    from penstock.core.retry import RetryPolicy
    from penstock.executors.agent import agent_handler
    from penstock.runs.queues import open_run_queue, open_webhook_queue
    from penstock.runs.requests import RUN_TYPE
    from penstock.webhooks.delivery import DELIVERY_TYPE, delivery_handler
    from penstock.worker.worker import Worker

    if queue == settings.webhook_queue:
        deliver = delivery_handler(settings)
        opened = await open_webhook_queue(settings, redis_url)
        stack.push_async_callback(opened.close)
        return Worker(
            opened,
            {DELIVERY_TYPE: deliver},
            worker_id,
            max(concurrency, LEAST_DELIVERIES),
            None,
            grace_seconds,
        )
    act = agent_handler(settings)
    if around_agents is not None:
        act = around_agents(act)
    opened = await open_run_queue(settings, redis_url)
    stack.push_async_callback(opened.close)
    policy = RetryPolicy(
        settings.run_max_attempts,
        settings.run_retry_delay_seconds,
        max(opened.config.retry_max_delay, settings.run_retry_delay_seconds),
    )
    return Worker(opened, {RUN_TYPE: act}, worker_id, concurrency, policy, grace_seconds)
