"""What a keeper does: its roles, started together and stopped in order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError, HistoryUnavailableError

if TYPE_CHECKING:
    from penstock.core.settings import ServiceSettings

PAUSE_SECONDS = 1.0

logger = logging.getLogger("penstock.keeper")


async def keep(redis_url: str | None) -> None:
    """Run the keeper's roles until a signal; raises ``ConfigurationError`` without a database.

    While PostgreSQL or Redis is away, it waits.
    """
    from penstock.core.settings import get_service_settings
    from penstock.worker.stop_signals import StopSignals

    settings = get_service_settings()
    if settings.database_url is None:
        raise ConfigurationError(
            "a keeper writes history: set PENSTOCK_DATABASE_URL to postgresql://user:password@host/database"
        )
    stopping = _Stopping()
    with StopSignals([stopping]):
        work = asyncio.create_task(_work(settings, redis_url, stopping.asked))
        asked = asyncio.create_task(stopping.asked.wait())
        await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        await work
    logger.info("keeper: stopped")


async def _work(settings: ServiceSettings, redis_url: str | None, asked: asyncio.Event) -> None:
    from penstock.runs.database import Database
    from penstock.runs.projector import Projector
    from penstock.runs.queues import open_run_queue, open_webhook_queue
    from penstock.webhooks.relay import Relay
    from penstock.worker.janitor import Janitor

    database_url = settings.database_url or ""
    async with AsyncExitStack() as stack:
        runs = await open_run_queue(settings, redis_url)
        stack.push_async_callback(runs.close)
        deliveries = await open_webhook_queue(settings, redis_url)
        stack.push_async_callback(deliveries.close)
        if not await _migrated(database_url, asked):
            return
        database = await stack.enter_async_context(Database(database_url))
        roles = (
            Projector.of_runs(runs, database),
            Projector.of_deliveries(deliveries, database),
            Relay(runs, deliveries, settings),
            Janitor(runs.engine),
            Janitor(deliveries.engine),
        )
        for role in roles:
            role.start()
            stack.push_async_callback(role.stop)
        logger.info("keeper: running on queues %s and %s", settings.run_queue, settings.webhook_queue)
        await asked.wait()


async def _migrated(database_url: str, asked: asyncio.Event) -> bool:
    """Wait for PostgreSQL and bring its tables up to date; ``False`` if told to stop meanwhile."""
    from penstock.runs.database import migrate

    while not asked.is_set():
        try:
            await migrate(database_url)
        except HistoryUnavailableError as error:
            logger.warning("keeper: %s; jobs go on, history waits", error)
            await _wait(asked)
        else:
            return True
    return False


async def _wait(asked: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(PAUSE_SECONDS):
            await asked.wait()
    except TimeoutError:
        return


class _Stopping:
    """Turns a signal into an event."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def stop(self) -> None:
        self.asked.set()
