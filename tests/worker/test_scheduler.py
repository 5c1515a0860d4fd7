"""The scheduler in workers that come and go: each slot makes its job, once."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from penstock import JobContext, ManualClock, RedisStreamsQueue, Worker
from penstock.core.errors import InvalidScheduleError
from penstock.core.schedule import Schedule
from penstock.store.engine import Engine
from penstock.worker.scheduler import POLL_MS, Scheduler
from tests.conftest import MakeQueue
from tests.worker.support import running, until

EVERY_SECOND = Schedule(name="tick", cron="* * * * * *", type="tick", catch_up="all")
SECONDS = 60


class Crew:
    """Ten schedulers, each with a connection of its own, of which any may be killed and replaced."""

    def __init__(self, make_queue: MakeQueue, clock: ManualClock) -> None:
        self._make_queue = make_queue
        self._clock = clock
        self._members: list[tuple[RedisStreamsQueue, Scheduler]] = []

    async def join(self) -> None:
        """One more scheduler, which puts the schedule as each worker does."""
        queue = await self._make_queue("q", clock=self._clock)
        scheduler = Scheduler(queue, [EVERY_SECOND])
        await scheduler.prepare()
        scheduler.start()
        self._members.append((queue, scheduler))

    async def kill_one(self, dice: random.Random) -> None:
        """End one wherever it is: its commands may be on the way, their replies are lost."""
        queue, scheduler = self._members.pop(dice.randrange(len(self._members)))
        assert scheduler._task is not None
        scheduler._task.cancel()
        await queue.close()
        await asyncio.gather(scheduler._task, return_exceptions=True)

    async def end(self) -> None:
        for _, scheduler in self._members:
            await scheduler.stop()


async def test_ten_workers_killed_and_started_make_one_job_a_slot(make_queue: MakeQueue) -> None:
    clock, dice = ManualClock(), random.Random(4)
    crew = Crew(make_queue, clock)
    await asyncio.gather(*(crew.join() for _ in range(10)))
    watcher = await make_queue("q", clock=clock)
    began = clock.now_ms // 1000
    for second in range(1, SECONDS + 1):
        clock.advance(seconds=1)
        if dice.random() < 0.5:
            # Somewhere between seeing the slot and having made its job.
            await asyncio.sleep(dice.random() * 0.02)
            await crew.kill_one(dice)
            await crew.join()

        async def made(count: int = second) -> bool:
            return bool((await watcher.get_queue_stats())["pending"] >= count)

        await until(made)
    await crew.end()
    assert (await watcher.get_queue_stats())["pending"] == SECONDS
    ran: Counter[str] = Counter()
    await Worker(watcher, {"tick": lambda ctx: ran.update([ctx.job.metadata["slot"]])}).run_until_idle()
    assert len(ran) == SECONDS
    assert set(ran.values()) == {1}
    state = await watcher.schedules.get("tick")
    assert state is not None
    assert (state.last_at, state.next_at) == (began + SECONDS, began + SECONDS + 1)


async def test_a_worker_puts_its_schedules_and_runs_their_jobs(make_queue: MakeQueue) -> None:
    clock = ManualClock()
    queue = await make_queue("q", clock=clock)
    ran: list[str] = []

    async def tick(ctx: JobContext) -> None:
        ran.append(ctx.job.id)

    async with running(Worker(queue, {"tick": tick}, schedules=[EVERY_SECOND])):
        await until(lambda: queue.schedules.get("tick"))
        for count in (1, 2, 3):
            clock.advance(seconds=1)

            async def came(count: int = count) -> bool:
                return len(ran) == count

            await until(came)
    assert ran == [f"cron:tick:20231114T22132{second}Z" for second in (1, 2, 3)]


async def test_a_worker_on_the_servers_own_clock(make_queue: MakeQueue) -> None:
    queue = await make_queue("q")
    ran: list[str] = []
    worker = Worker(queue, {"tick": lambda ctx: ran.append(ctx.job.id)}, schedules=[EVERY_SECOND])
    async with running(worker):

        async def came() -> bool:
            return len(ran) >= 2

        await until(came)
    assert len(set(ran)) == len(ran)


async def test_a_schedule_put_at_run_time_wakes_a_worker_at_once(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the call, nobody would look again within this test.
    monkeypatch.setattr("penstock.worker.scheduler.POLL_MS", 600_000)
    clock = ManualClock()
    queue = await make_queue("q", clock=clock)
    ran: list[str] = []

    async def came() -> bool:
        return bool(ran)

    async with running(Worker(queue, {"tick": lambda ctx: ran.append(ctx.job.id)})):
        client: Any = queue.client

        async def heard() -> bool:
            return bool((await client.pubsub_numsub(queue.engine.keys.calls))[0][1])

        await until(heard)
        await queue.schedules.put(EVERY_SECOND)
        clock.advance(seconds=1)
        await until(came)


async def test_run_until_idle_does_what_has_come_due(make_queue: MakeQueue) -> None:
    clock = ManualClock()
    queue = await make_queue("q", clock=clock)
    await queue.schedules.put(EVERY_SECOND)
    clock.advance(seconds=90)
    worker = Worker(queue, {"tick": lambda _: None})
    await worker.run_until_idle()
    assert (await queue.get_queue_stats())["completed"] == 90


async def test_two_schedules_of_one_name_are_refused(make_queue: MakeQueue) -> None:
    queue = await make_queue("q")
    with pytest.raises(InvalidScheduleError, match="two schedules are called 'tick'"):
        Worker(queue, {"tick": print}, schedules=[EVERY_SECOND, EVERY_SECOND])


async def test_it_looks_no_oftener_than_needed(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    queue = await make_queue("q", clock=clock)
    calls: list[str] = []
    send = Engine.call

    async def counted(engine: Engine, name: str, *arguments: Any) -> Any:
        calls.append(name)
        return await send(engine, name, *arguments)

    monkeypatch.setattr(Engine, "call", counted)
    scheduler = Scheduler(queue)
    scheduler.start()

    async def looked() -> bool:
        return len(calls) == 1

    await until(looked)
    # The clock moves on by less than the time between two looks: nothing is asked of the server.
    for _ in range(9):
        clock.advance(seconds=POLL_MS / 10_000)
        await asyncio.sleep(0.02)
    assert calls == ["timetable"]
    clock.advance(seconds=POLL_MS / 10_000)

    async def looked_again() -> bool:
        return len(calls) == 2

    await until(looked_again)
    await queue.schedules.put(Schedule(name="slow", cron="0 0 * * *", type="tick"))
    calls.clear()
    scheduler.wake()
    await until(looked)
    await scheduler.stop()
