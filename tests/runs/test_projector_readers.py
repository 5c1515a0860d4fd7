"""Several readers of one stream of events: those that die, those that live, and ghosts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis.asyncio

from penstock.core.errors import QueueUnavailableError
from penstock.runs.books import RunBook
from penstock.runs.database import Database
from penstock.runs.projector import Projector
from penstock.runs.queues import HISTORY_GROUP
from penstock.store.streams import RedisStreamsQueue
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.harness.processes import ProcessStarter
from tests.runs.recorded import FATES, assert_same_as_redis, caught_up, enqueue_runs, facts_left, work_off

STUCK = Path(__file__).with_name("projector_process.py")


@pytest.mark.parametrize("place", ["before-commit", "after-commit"])
async def test_killed_projector_is_taken_over(
    place: str,
    queue: RedisStreamsQueue,
    database: Database,
    database_url: str,
    redis_client: redis.asyncio.Redis,
    processes: ProcessStarter,
) -> None:
    ids = await enqueue_runs(queue, 2 * len(FATES))
    await work_off(queue)
    facts = await facts_left(queue, redis_client)
    dying = await processes.python(str(STUCK), place, environment={"PENSTOCK_DATABASE_URL": database_url})
    await dying.line("stuck")
    dying.kill()
    await dying.exited()
    assert await facts_left(queue, redis_client) == facts - 2 * 20
    heir = Projector(queue, database, RunBook(), dead_reader_seconds=0)
    while await heir.run_once():
        continue
    assert heir.stats.facts_written == facts - 2 * 20
    assert await facts_left(queue, redis_client) == 0
    await assert_same_as_redis(queue, database, ids)


async def test_facts_of_a_reader_that_lives_are_left_to_it(
    queue: RedisStreamsQueue, database: Database
) -> None:
    slow, quick = (Projector(queue, database, RunBook(), batch=5) for _ in range(2))
    await enqueue_runs(queue, 5)
    in_hand = await slow._reader.read(5)
    assert len(in_hand) == 5
    await quick.run_once()
    assert {fact.id for fact in in_hand}.isdisjoint(fact.id for fact in await quick._reader.read(5))


async def test_facts_given_to_a_read_that_was_cut_come_again(
    make_queue: MakeQueue,
    queue: RedisStreamsQueue,
    proxy: FaultProxy,
    database: Database,
    redis_client: redis.asyncio.Redis,
    run_projector: Callable[[Projector], Projector],
) -> None:
    through_proxy = await make_queue("runs", url=proxy.url, config=queue.config)
    projector = Projector(through_proxy, database, RunBook(), consumer="me", dead_reader_seconds=600)
    proxy.cut_before("XREADGROUP")
    with pytest.raises(QueueUnavailableError):
        await projector.run_once()
    assert await projector.run_once() == 0
    # The server still serves the read that was cut, after everything unacknowledged was asked for.
    await enqueue_runs(queue, 3)
    assert await redis_client.xreadgroup(HISTORY_GROUP, "me", {queue.engine.keys.events: ">"})
    run_projector(projector)
    await caught_up(queue, redis_client)
