"""The relay: turns the end of a run into a delivery, by way of the events stream."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any, Final

from penstock.core.errors import InvalidJobError, InvalidNameError, PayloadTooLargeError, PenstockError
from penstock.core.job import Job
from penstock.core.settings import ServiceSettings
from penstock.store.events import EventReader, Fact
from penstock.store.streams import RedisStreamsQueue, default_worker_id
from penstock.webhooks.delivery import DELIVERY_TYPE

GROUP: Final = "webhooks"
EVENTS: Final = {"completed": "run.completed", "failed": "run.failed"}
READ_FACTS: Final = 200
READ_BLOCK_MS: Final = 1000
AT_ONCE: Final = 16
SHORTEST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
SILENT_READER_MS: Final = 15_000

logger = logging.getLogger("penstock.webhooks")


class Relay:
    """Reads the facts of the run queue and enqueues a delivery for each ended run with a webhook URL.

    A fact is acknowledged once its delivery is enqueued. A relay that dies in between repeats the
    enqueueing, which makes no second delivery, since its id follows from the run's and, for a run that was
    put back after it failed, from how often it was. Any number of
    relays share the work; the facts of one that fell silent are taken over by the others.
    """

    def __init__(
        self,
        run_queue: RedisStreamsQueue,
        webhook_queue: RedisStreamsQueue,
        settings: ServiceSettings,
        *,
        consumer: str | None = None,
        silent_reader_ms: int = SILENT_READER_MS,
    ) -> None:
        """Both queues stay the caller's. ``consumer`` names this relay among its like."""
        self._runs = run_queue
        self._deliveries = webhook_queue
        self._max_attempts = settings.webhook_max_attempts
        self._reader = EventReader(run_queue.engine, GROUP, consumer or default_worker_id())
        self._silent_reader_ms = silent_reader_ms
        self._looks_again_at = 0.0
        self._pause_seconds = SHORTEST_PAUSE_SECONDS
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin relaying."""
        self._stopping.clear()
        self._task = asyncio.get_running_loop().create_task(self.run(), name="penstock-relay")

    async def run(self) -> None:
        """Relay until ``stop``; waits out whatever keeps the queues from answering."""
        while not self._stopping.is_set():
            try:
                await self.relay()
                self._pause_seconds = SHORTEST_PAUSE_SECONDS
            except PenstockError as error:
                logger.warning("relay: %s; trying again", error)
                await self._pause()
            except Exception:
                logger.exception("relay: a fault of its own; trying again")
                await self._pause()

    async def stop(self) -> None:
        """Finish the facts in hand and stop; a second at most while the server answers."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def relay(self, block_ms: int = READ_BLOCK_MS) -> int:
        """One round: the next facts, relayed and acknowledged; returns how many facts there were."""
        if time.monotonic() >= self._looks_again_at:
            await self._reader.take_over(self._silent_reader_ms)
            self._looks_again_at = time.monotonic() + self._silent_reader_ms / 3000
        facts = await self._reader.read(READ_FACTS, block_ms)
        ended = [fact for fact in facts if fact.event in EVENTS]
        for at in range(0, len(ended), AT_ONCE):
            batch = (self._relay_one(fact) for fact in ended[at : at + AT_ONCE])
            for outcome in await asyncio.gather(*batch, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        await self._reader.acknowledge(facts)
        return len(facts)

    async def _relay_one(self, fact: Fact) -> None:
        try:
            run = await self._runs.get_status(fact.job_id)
            if run is None:
                raise InvalidJobError("the run is no longer kept")
            await self._tell(fact, run)
        except (InvalidJobError, InvalidNameError) as error:
            # Trying again would fail the same way and hold up all runs behind this one.
            logger.error("relay: the webhook of run %s cannot be sent: %s", fact.job_id, error)

    async def _tell(self, fact: Fact, run: Job) -> None:
        asked = run.payload if isinstance(run.payload, dict) else {}
        url, actor = asked.get("webhook_url"), asked.get("actor")
        if url is None:
            return
        if not isinstance(url, str) or not isinstance(actor, str):
            raise InvalidJobError("webhook_url and actor must be text")
        body = payload_of(fact, run, actor)
        try:
            await self._deliveries.enqueue(self._delivery(fact, run, url, actor, body))
        except PayloadTooLargeError:
            note = "the result is too large for a webhook: ask for the run"
            thin = body | {"result": None, "note": note}
            await self._deliveries.enqueue(self._delivery(fact, run, url, actor, thin))

    def _delivery(self, fact: Fact, run: Job, url: str, actor: str, body: dict[str, Any]) -> Job:
        event = body["event"]
        # A run that was put back after it failed ends again, and that is another delivery.
        again = fact.fields.get("requeues", b"").decode()
        return Job(
            payload={"url": url, "event": event, "run_id": run.id, "actor": actor, "body": body},
            type=DELIVERY_TYPE,
            id=f"wh:{run.id}:{event}" + (f":{again}" if again else ""),
            max_attempts=self._max_attempts,
            metadata={"run_id": run.id, "actor": actor},
            record=True,
            trace=run.trace,
        )

    async def _pause(self) -> None:
        self._reader.repeat()
        try:
            async with asyncio.timeout(self._pause_seconds):
                await self._stopping.wait()
        except TimeoutError:
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)


def payload_of(fact: Fact, run: Job, actor: str) -> dict[str, Any]:
    """What a receiver is told about the end of ``run``; the same however often it is made."""
    ended_at = datetime.fromtimestamp(fact.at_ms / 1000, UTC)
    # The error of this failure, whatever has become of the run since.
    error = fact.fields.get("error", b"").decode(errors="replace") or run.error
    outcome = {"result": run.result} if fact.event == "completed" else {"error": error}
    return {
        "event": EVENTS[fact.event],
        "run_id": run.id,
        "actor": actor,
        "status": fact.event,
        **outcome,
        "timestamp": ended_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
