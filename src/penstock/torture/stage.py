"""One scenario from beginning to end: work comes in, faults strike, all is drained, a verdict is given."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

from penstock.core.config import QueueConfig
from penstock.core.errors import QueueUnavailableError, WorkerError
from penstock.core.job import FINAL_STATUSES
from penstock.store.streams import RedisStreamsQueue, create_redis_queue
from penstock.torture.anvil import Anvil, OwnAnvil
from penstock.torture.away import go_away
from penstock.torture.clock import JumpingClock
from penstock.torture.crew import Crew
from penstock.torture.faults import Scene
from penstock.torture.findings import find_evidence
from penstock.torture.judge import Verdict, judge
from penstock.torture.ledger import Ledger
from penstock.torture.orders import QUEUE, Orders
from penstock.torture.producer import Producer
from penstock.torture.proxy import Port
from penstock.torture.scenarios import SCENARIOS, Scenario
from penstock.torture.watched_pair import WatchedPair

Answer = TypeVar("Answer")

DRAIN_SECONDS = 180.0
LOOK_AGAIN_SECONDS = 0.2
KEYS_A_CALL = 100
#: Further than a clock goes back in any scenario that somebody waits for, and less than the retention.
AHEAD_SECONDS = 86_400.0


async def run_scenario(
    name: str, seconds: float, seed: int, directory: Path, url: str | None, scale: float = 1.0
) -> Verdict:
    """Run ``name`` and judge it; files go to ``directory``.

    Faults strike for ``seconds``, unless the scenario has a length of its own; that, or its number of
    jobs, is multiplied with ``scale``. With ``url`` the server there is used if the scenario needs none
    of its own. Raises ``EmbeddedServerError`` or ``QueueUnavailableError`` when there is no server.
    """
    scenario = SCENARIOS[name]
    async with _stage(scenario, seed, directory, url) as run:
        length = seconds if scenario.seconds is None else scenario.seconds * scale
        count = None if scenario.jobs is None else max(round(scenario.jobs * scale), 1)
        if not scenario.faults:
            count = scenario.jobs
        return await run.run(name, length, count)


@asynccontextmanager
async def _stage(scenario: Scenario, seed: int, directory: Path, url: str | None) -> AsyncIterator[_Run]:
    async with AsyncExitStack() as stack:
        anvil = _anvil(scenario, directory, url)
        await anvil.start()
        stack.push_async_callback(anvil.stop)
        ports = [Port(anvil.port) for _ in range(scenario.workers + 1)] if scenario.is_networked else []
        for port in ports:
            await port.open()
            stack.push_async_callback(port.close)

        def url_of(place: int) -> str:
            return anvil.url_through(ports[place].number) if ports else anvil.url

        clock = JumpingClock(directory / "clock") if scenario.has_clock else None
        # A prefix of its own: on a given server nothing of a user's is read or removed.
        config = QueueConfig(key_prefix=f"penstock-torture-{time.time_ns():x}:", retry_max_attempts=10)
        queue = await create_redis_queue(
            url_of(-1), queue_name=QUEUE, timings=scenario.timings, config=config, clock=clock
        )
        stack.push_async_callback(queue.close)
        if not anvil.is_ours:
            stack.push_async_callback(remove_keys, queue)
        ledger = Ledger(directory / "ledger.jsonl")
        orders = Orders(
            "",
            config.key_prefix,
            "",
            scenario.concurrency,
            str(ledger.path),
            scenario.timings,
            str(directory / "clock") if clock else "",
        )
        crew = Crew(orders, url_of, directory / "workers.log", scenario.workers, ledger)
        stack.callback(crew.abandon)
        yield _run_of(scenario, seed, queue, (anvil, crew, ports, clock), ledger)


def _run_of(
    scenario: Scenario,
    seed: int,
    queue: RedisStreamsQueue,
    struck: tuple[Anvil, Crew, list[Port], JumpingClock | None],
    ledger: Ledger,
) -> _Run:
    anvil, crew, ports, clock = struck
    producer = Producer(queue, scenario, seed)
    scene = Scene(
        anvil,
        crew,
        queue.engine.keys,
        queue.group_name,
        scenario.timings,
        random.Random(seed),  # noqa: S311 - seeded, so that a run can be repeated
        ports,
        clock,
        producer.repeat,
    )
    return _Run(scenario, seed, queue, scene, producer, ledger)


def _anvil(scenario: Scenario, directory: Path, url: str | None) -> Anvil:
    if scenario.is_watched:
        return WatchedPair(directory / "servers")
    if url and not scenario.needs_own_server:
        return Anvil(url)
    return OwnAnvil(directory / "server", scenario.appendfsync)


class _Run:
    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        queue: RedisStreamsQueue,
        scene: Scene,
        producer: Producer,
        ledger: Ledger,
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._queue = queue
        self._scene = scene
        self._producer = producer
        self._ledger = ledger

    async def run(self, name: str, seconds: float, count: int | None) -> Verdict:
        crew = self._scene.crew
        await crew.start()
        if not self._scenario.faults:
            await go_away(self._scene, self._producer, self._ledger, seconds, count or 1, self._seed)
            await self._drain()
        elif count is not None:
            await self._producer.bulk(count)
            await self._strike_until(self._is_drained)
        else:
            await self._strike_while_producing(seconds)
            if self._scene.clock is not None:
                # What waits for a time that the clock went back from comes due.
                self._scene.clock.jump(AHEAD_SECONDS)
            await self._drain()
        ended = len(crew.died())
        await crew.stop()
        evidence = await find_evidence(
            self._scenario, self._queue, self._producer, self._ledger, self._scene.blows, ended
        )
        verdict = judge(name, self._seed, evidence)
        return replace(verdict, notes=[*verdict.notes, *self._producer.notes])

    async def _strike_while_producing(self, seconds: float) -> None:
        over = asyncio.Event()
        until = time.monotonic() + seconds
        producing = asyncio.create_task(self._producer.run(over))

        async def is_time() -> bool:
            if producing.done():
                producing.result()
            return time.monotonic() >= until

        try:
            await self._strike_until(is_time)
        finally:
            over.set()
            await producing

    async def _strike_until(self, is_over: Callable[[], Awaitable[bool]]) -> None:
        """Deal faults, each kind equally often in the long run, until that is so."""
        chance, coming = self._scene.chance, list[object]()
        deadline = time.monotonic() + DRAIN_SECONDS * 10
        while not await is_over():
            if time.monotonic() > deadline:
                return
            await self._wait(chance.uniform(*self._scenario.pace_seconds), is_over)
            if await is_over():
                return
            if not coming:
                coming = [*self._scenario.faults]
                chance.shuffle(coming)
            await cast("Callable[[Scene], Awaitable[None]]", coming.pop())(self._scene)

    async def _wait(self, seconds: float, is_over: Callable[[], Awaitable[bool]]) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not await is_over():  # noqa: ASYNC110 - asks the server
            await asyncio.sleep(min(left, LOOK_AGAIN_SECONDS))

    async def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline and not await self._is_drained():  # noqa: ASYNC110 - asks the server
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _is_drained(self) -> bool:
        counts = await insisting(self._queue.get_queue_stats)
        ended = sum(counts[status.value] for status in FINAL_STATUSES)
        return ended >= len(self._producer.acknowledged) and counts["stream_length"] == 0


async def insisting(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of ``call``, repeated while the server is away; raises ``WorkerError`` in the end."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline:
        try:
            return await call()
        except QueueUnavailableError:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    raise WorkerError(f"the server did not come back within {DRAIN_SECONDS:g} s")


async def remove_keys(queue: RedisStreamsQueue) -> None:
    """Nothing of a run stays on the server."""
    client = queue.client
    found = [key async for key in client.scan_iter(match=queue.config.key_prefix + "*", count=1000)]
    for at in range(0, len(found), KEYS_A_CALL):
        await client.unlink(*found[at : at + KEYS_A_CALL])
