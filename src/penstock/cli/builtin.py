"""The kinds of jobs that Penstock runs itself: agent runs and webhook deliveries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.cli.working import WorkOptions
    from penstock.core.settings import ServiceSettings
    from penstock.worker.context import JobContext
    from penstock.worker.worker import Worker

Handler: TypeAlias = "Callable[[JobContext], Awaitable[Any]]"
Around: TypeAlias = "Callable[[Handler], Handler]"

LEAST_DELIVERIES = 10


async def work_on_builtin_kinds(options: WorkOptions, *, around_agents: Around | None = None) -> None:
    """Run all built-in kinds, or the one of the queue in ``options``, until a signal.

    ``around_agents`` is put around the handler of agent runs. Raises ``ConfigurationError`` for a
    queue that carries no built-in kind.
    """
    from penstock.cli.working import run_together
    from penstock.core.settings import get_service_settings

    settings = get_service_settings()
    known = (settings.run_queue, settings.webhook_queue)
    if options.queue is not None and options.queue not in known:
        raise ConfigurationError(
            f"queue {options.queue!r} carries no built-in kind of job: name its handlers with --handlers "
            f"or its tasks with --tasks, or take {' or '.join(known)}"
        )
    async with AsyncExitStack() as stack:
        workers = [
            await _open(stack, settings, name, options, around_agents)
            for name in known
            if options.queue in (None, name)
        ]
        await run_together(workers)


async def _open(
    stack: AsyncExitStack,
    settings: ServiceSettings,
    queue: str,
    options: WorkOptions,
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
        opened = await open_webhook_queue(settings, options.redis_url)
        stack.push_async_callback(opened.close)
        return Worker(
            opened,
            {DELIVERY_TYPE: deliver},
            options.worker_id,
            max(options.concurrency, LEAST_DELIVERIES),
            None,
            options.grace_seconds,
            max_jobs=options.max_jobs,
            max_rss_mb=options.max_rss_mb,
        )
    act = agent_handler(settings)
    if around_agents is not None:
        act = around_agents(act)
    opened = await open_run_queue(settings, options.redis_url)
    stack.push_async_callback(opened.close)
    policy = RetryPolicy(
        settings.run_max_attempts,
        settings.run_retry_delay_seconds,
        max(opened.config.retry_max_delay, settings.run_retry_delay_seconds),
    )
    return Worker(
        opened,
        {RUN_TYPE: act},
        options.worker_id,
        options.concurrency,
        policy,
        options.grace_seconds,
        max_jobs=options.max_jobs,
        max_rss_mb=options.max_rss_mb,
    )
