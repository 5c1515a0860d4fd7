"""One scenario from beginning to end: work comes in, faults strike, all is drained, a verdict is given."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from penstock.core.clock import ManualClock
from penstock.core.config import QueueConfig
from penstock.core.errors import QueueUnavailableError
from penstock.core.job import FINAL_STATUSES, Job
from penstock.store.engine import Engine
from penstock.store.streams import RedisStreamsQueue, create_redis_queue
from penstock.torture.anvil import Anvil
from penstock.torture.crew import Crew
from penstock.torture.faults import NEEDS_OWN_SERVER, SCENARIOS, Scene
from penstock.torture.judge import Evidence, Fact, Verdict, judge, read_fact
from penstock.torture.ledger import Ledger
from penstock.torture.orders import MOST_ATTEMPTS, QUEUE, TIMINGS
from penstock.worker.janitor import Janitor

Answer = TypeVar("Answer")

CREW = 3
CONCURRENCY = 8
BATCH = 12
BETWEEN_BATCHES_SECONDS = 0.15
BETWEEN_FAULTS_SECONDS = (0.4, 1.6)
DRAIN_SECONDS = 90.0
LOOK_AGAIN_SECONDS = 0.2
FACTS_A_READ = 5000
#: What stands as long as a queue does: its lanes, books, bell and registers, none of which grow with jobs.
STANDING_KEYS = frozenset(
    {"stream", "stream:high", "stream:low", "stream:suspects", "counts", "credits", "dlq", "events"}
    | {"bell", "pulse", "amnesty", "workers"}
)


async def run_scenario(name: str, seconds: float, seed: int, directory: Path, url: str | None) -> Verdict:
    """Run ``name`` for about ``seconds`` of work; files go to ``directory``.

    Raises ``EmbeddedServerError`` or ``QueueUnavailableError`` when there is no server to begin with.
    """
    anvil = Anvil(directory / "server", url)
    ledger = Ledger(directory / "ledger.jsonl")
    await anvil.start()
    try:
        # A prefix of its own: on a given server nothing of a user's is read or removed.
        config = QueueConfig(key_prefix=f"penstock-torture-{time.time_ns():x}:", retry_max_attempts=10)
        queue = await create_redis_queue(anvil.url, queue_name=QUEUE, timings=TIMINGS, config=config)
        crew = Crew(
            anvil.url,
            config.key_prefix,
            ledger,
            directory / "workers.log",
            size=CREW,
            concurrency=CONCURRENCY,
        )
        chance = random.Random(seed)  # noqa: S311 - seeded, so that a run can be repeated
        scene = Scene(anvil, crew, queue.engine.keys, queue.group_name, chance)
        run = _Run(name, seed, queue, scene)
        try:
            return await run.run(seconds, ledger)
        finally:
            crew.abandon()
            await run.remove_keys()
            await queue.close()
    finally:
        await anvil.stop()


class _Run:
    def __init__(self, name: str, seed: int, queue: RedisStreamsQueue, scene: Scene) -> None:
        self._name = name
        self._seed = seed
        self._queue = queue
        self._scene = scene
        self._acknowledged: set[str] = set()
        self._work = random.Random(f"{seed}:work")  # noqa: S311 - seeded, so that a run can be repeated

    async def run(self, seconds: float, ledger: Ledger) -> Verdict:
        crew = self._scene.crew
        await crew.start()
        over = asyncio.Event()
        producing = asyncio.create_task(self._produce(over))
        try:
            await self._strike(time.monotonic() + seconds)
        finally:
            over.set()
            await producing
        await self._drain()
        await crew.stop()
        return judge(self._name, self._seed, await self._evidence(ledger))

    async def remove_keys(self) -> None:
        """Nothing of this run stays on the server."""
        pattern = self._queue.config.key_prefix + "*"
        client = cast("Any", self._queue.client)
        found = [key async for key in client.scan_iter(match=pattern, count=1000)]
        for at in range(0, len(found), BATCH):
            await client.unlink(*found[at : at + BATCH])

    async def _produce(self, over: asyncio.Event) -> None:
        number = 0
        while not over.is_set():
            jobs = [self._job(number + place) for place in range(BATCH)]
            number += BATCH
            priority = self._work.choice((-1, 0, 0, 0, 1))
            self._acknowledged.update(await self._enqueue(jobs, priority))
            await asyncio.sleep(BETWEEN_BATCHES_SECONDS)

    async def _enqueue(self, jobs: list[Job], priority: int) -> list[str]:
        """Repeated with the same ids until it is acknowledged, as a careful client does."""

        async def enqueue() -> list[str]:
            return await self._queue.enqueue_many(jobs, priority)

        return await _insisting(enqueue)

    def _job(self, number: int) -> Job:
        long = number % 20 == 0
        work_ms = self._work.randint(2500, 3500) if long else self._work.randint(5, 250)
        return Job(id=f"job-{number}", payload={"work_ms": work_ms}, max_attempts=MOST_ATTEMPTS, record=True)

    async def _strike(self, until: float) -> None:
        faults = [
            fault
            for fault in SCENARIOS[self._name]
            if self._scene.anvil.is_ours or fault not in NEEDS_OWN_SERVER
        ]
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(self._scene.chance.uniform(*BETWEEN_FAULTS_SECONDS), left))
            if faults:
                await self._scene.chance.choice(faults)(self._scene)

    async def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            counts = await _insisting(self._queue.get_queue_stats)
            ended = sum(counts[status.value] for status in FINAL_STATUSES)
            if ended >= len(self._acknowledged) and counts["stream_length"] == 0:
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _evidence(self, ledger: Ledger) -> Evidence:
        standing, missing = await self._look_up()
        books = await self._queue.engine.call("audit", {"group": self._queue.group_name})
        facts = await self._facts()
        return Evidence(
            frozenset(self._acknowledged),
            ledger.entries(),
            facts,
            self._scene.blows,
            standing,
            missing,
            await self._keys_after_retention(),
            unbalanced=books[::2] != books[1::2],
        )

    async def _look_up(self) -> tuple[dict[str, str], frozenset[str]]:
        standing: dict[str, str] = {}
        missing = set()
        for job_id in sorted(self._acknowledged):
            job = await self._queue.get_status(job_id)
            if job is None:
                missing.add(job_id)
            elif not job.status.is_final:
                standing[job_id] = job.status.value
        return standing, frozenset(missing)

    async def _facts(self) -> list[Fact]:
        """The events stream as it stands: one fact for every settle that was accepted, nothing merged."""
        client, events = cast("Any", self._queue.client), self._queue.engine.keys.events
        facts: list[Fact] = []
        first = "-"
        while entries := await client.xrange(events, first, "+", count=FACTS_A_READ):
            for _, fields in entries:
                facts.append(read_fact({name.decode(): value.decode() for name, value in fields.items()}))
            first = "(" + entries[-1][0].decode()
        return facts

    async def _keys_after_retention(self) -> list[str]:
        """Moves the scripts' clock past the retention, sweeps, and names the keys that are left."""
        queue = self._queue
        clock = ManualClock(round(time.time() * 1000) + queue.config.ttl_ms + 60_000)
        engine = Engine(queue.client, queue.engine.keys, queue.config, TIMINGS, clock)
        await Janitor(engine).sweep()
        base = engine.keys.base + ":"
        client = cast("Any", queue.client)
        found = [
            key.decode() async for key in client.scan_iter(match=queue.config.key_prefix + "*", count=1000)
        ]
        names = [key.removeprefix(base) for key in found if key.startswith(base)]
        # A claim's answer is kept for a minute by a TTL of its own.
        return sorted(name for name in names if name not in STANDING_KEYS and not name.startswith("claim:"))


async def _insisting(call: Callable[[], Awaitable[Answer]]) -> Answer:
    while True:
        try:
            return await call()
        except QueueUnavailableError:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
