"""A million jobs through one queue: what they leave behind in the server's memory and in the workers'."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from penstock.core.config import QueueConfig
from penstock.core.errors import WorkerError
from penstock.core.job import FINAL_STATUSES, Job
from penstock.store.streams import RedisStreamsQueue, create_redis_queue
from penstock.torture.anvil import OwnAnvil
from penstock.torture.crew import Crew
from penstock.torture.findings import keys_after_retention
from penstock.torture.judge import Verdict
from penstock.torture.ledger import Ledger
from penstock.torture.orders import DEFAULT_TIMINGS, QUEUE, Orders
from penstock.torture.scenarios import MILLION

JOBS = 1_000_000
WORKERS, CONCURRENCY = 2, 100
BULK = 4096
#: Enqueued beyond what is done: the backlog is to stay, so that memory is that of a working queue.
MOST_WAITING = 50_000
LOOK_AGAIN_SECONDS = 0.1
STALLED_SECONDS = 60.0
#: Memory may differ from the baseline by this share, and a worker from what it held at a fifth of the way.
MEMORY_SHARE, RSS_SHARE, WARM_SHARE = 0.05, 0.05, 0.2
WARMING_JOBS = 5_000


async def run_million(seed: int, directory: Path, scale: float) -> Verdict:
    """Run a million jobs, times ``scale``, and judge what is left; files go to ``directory``."""
    count = max(round(JOBS * scale), WARMING_JOBS)
    anvil = OwnAnvil(directory / "server", "everysec")
    await anvil.start()
    try:
        config = QueueConfig(key_prefix=f"penstock-torture-{time.time_ns():x}:")
        queue = await create_redis_queue(anvil.url, queue_name=QUEUE, config=config)
        starts = directory / "starts"
        starts.write_bytes(bytes(WARMING_JOBS + count))
        orders = Orders("", config.key_prefix, "", CONCURRENCY, str(starts), DEFAULT_TIMINGS, bare=True)
        crew = Crew(orders, lambda _: anvil.url, directory / "workers.log", WORKERS, Ledger(starts))
        try:
            return await _Million(seed, count, anvil, queue, crew, starts).run()
        finally:
            crew.abandon()
            await queue.close()
    finally:
        await anvil.stop()


class _Million:
    def __init__(
        self, seed: int, count: int, anvil: OwnAnvil, queue: RedisStreamsQueue, crew: Crew, starts: Path
    ) -> None:
        self._seed = seed
        self._count = count
        self._anvil = anvil
        self._queue = queue
        self._crew = crew
        self._starts = starts
        self._accepted = 0
        self._rss: list[tuple[float, list[int]]] = []

    async def run(self) -> Verdict:
        await self._crew.start_bare()
        # The first jobs make what stands as long as the queue does: scripts, streams, registers.
        await self._through(WARMING_JOBS)
        await keys_after_retention(self._queue)
        before = await self._memory()
        began = time.monotonic()
        await self._through(self._count)
        took = time.monotonic() - began
        filled = await self._memory()
        done = await self._ended()
        keys = await keys_after_retention(self._queue)
        after = await self._memory()
        await self._crew.stop()
        return self._verdict(done, keys, (before, filled, after), took)

    async def _through(self, count: int) -> None:
        goal = self._accepted + count
        done, changed = await self._ended(), time.monotonic()
        base = self._accepted - done
        while done + base < goal:
            if self._accepted < goal and self._accepted - done - base < MOST_WAITING:
                await self._enqueue(min(BULK, goal - self._accepted))
            else:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            now = await self._ended()
            if now != done:
                done, changed = now, time.monotonic()
            if time.monotonic() - changed > STALLED_SECONDS or self._crew.died():
                raise WorkerError(f"the workers stand still at {done} of {goal} jobs")
            self._rss.append(((done + base) / (WARMING_JOBS + self._count), self._resident()))

    async def _enqueue(self, count: int) -> None:
        first = self._accepted
        jobs = [Job(id=f"job-{number}", payload={"number": number}) for number in range(first, first + count)]
        await self._queue.enqueue_many(jobs)
        self._accepted += count

    async def _ended(self) -> int:
        counts = await self._queue.get_queue_stats()
        return sum(counts[status.value] for status in FINAL_STATUSES)

    async def _memory(self) -> int:
        """What the server takes without its clients' buffers, in bytes; freed pieces are given back first."""
        # Its log of slow commands is longer the slower the machine is; what a connection still has from its
        # last large command is let go some seconds later.
        await self._anvil.tell("SLOWLOG", "RESET")
        await self._anvil.tell("MEMORY", "PURGE")
        facts = await self._anvil.tell("INFO", "memory")
        if isinstance(facts, bytes):
            facts = dict(line.split(":", 1) for line in facts.decode().split("\r\n") if ":" in line)
        return int(facts["used_memory"]) - int(facts["mem_clients_normal"])

    def _resident(self) -> list[int]:
        return [_resident_bytes(hand.pid) for hand in self._crew.hands]

    def _verdict(self, done: int, keys: list[str], memory: tuple[int, int, int], took: float) -> Verdict:
        starts = self._starts.read_bytes()
        warm = next(sizes for share, sizes in self._rss if share >= WARM_SHARE)
        last = self._rss[-1][1]
        before, filled, after = memory
        figures: dict[str, Any] = {
            "scenario": MILLION,
            "seed": self._seed,
            "jobs": self._accepted,
            "acknowledged": self._accepted,
            "lost": starts.count(0),
            "settled_twice": max(done - self._count, 0),
            "extra_starts": sum(starts) - len(starts) + starts.count(0),
            "in_flight_at_kills": 0,
            "zombies_refused": 0,
            "stuck": max(self._count - done, 0),
            "recovery_p99_s": None,
            "keys_left": len(keys),
        }
        violations = [
            f"{figures[name]} {name}"
            for name in ("lost", "settled_twice", "extra_starts", "stuck", "keys_left")
            if figures[name]
        ]
        if abs(after - before) > MEMORY_SHARE * before:
            violations.append(f"the server held {before} bytes before and {after} after the retention")
        for then, now in zip(warm, last, strict=True):
            if now > then * (1 + RSS_SHARE):
                violations.append(f"a worker grew from {then} to {now} bytes")
        notes = [
            f"{self._count / took:.0f} jobs/s; server memory {before / 1e6:.2f} MB before, "
            f"{filled / 1e6:.1f} MB with all jobs kept, {after / 1e6:.2f} MB after the retention",
            f"workers' RSS at {WARM_SHARE:.0%}: {_in_mb(warm)}; at the end: {_in_mb(last)}",
        ]
        return Verdict(figures, violations, notes)


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _in_mb(sizes: list[int]) -> str:
    return ", ".join(f"{size / 1e6:.1f} MB" for size in sizes)
