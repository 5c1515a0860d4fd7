"""The projector over a real worker's events: complete, once, whatever dies or goes away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import redis.asyncio

from penstock.core.errors import HistoryUnavailableError
from penstock.runs.books import RunBook
from penstock.runs.database import Database, migrate
from penstock.runs.embedded import EmbeddedPostgres
from penstock.runs.history import HistoryReader, RunRecord
from penstock.runs.projector import Projector
from penstock.store.streams import RedisStreamsQueue
from penstock.worker.janitor import Janitor
from tests.conftest import MakeQueue
from tests.harness.faultproxy import FaultProxy
from tests.runs.recorded import (
    FATES,
    LARGE,
    assert_same_as_redis,
    caught_up,
    enqueue_runs,
    facts_left,
    run_of,
    until,
    work_off,
)


async def test_history_says_what_redis_says(
    queue: RedisStreamsQueue,
    database: Database,
    redis_client: redis.asyncio.Redis,
    run_projector: Callable[[Projector], Projector],
) -> None:
    projector = run_projector(Projector.of_runs(queue, database))
    ids = await enqueue_runs(queue, 4 * len(FATES))
    await work_off(queue)
    await caught_up(queue, redis_client)
    await assert_same_as_redis(queue, database, ids)
    await projector.stop()
    stats = projector.stats
    assert stats.facts_set_aside == 0
    assert stats.facts_written >= await redis_client.xlen(queue.engine.keys.events)
    assert 0 < stats.lag_seconds <= stats.longest_lag_seconds < 10


async def test_a_run_that_failed_is_queued_again_with_its_edited_payload(
    queue: RedisStreamsQueue, database: Database, history: HistoryReader
) -> None:
    projector = Projector.of_runs(queue, database)

    async def seen(run_id: str) -> RunRecord:
        while await projector.run_once():
            continue
        run = await history.get_run(run_id)
        assert run is not None
        return run

    run_id = await queue.enqueue(run_of("plain"))
    assert await queue.dequeue("one", 0)
    assert await queue.fail(run_id, "no such goal")
    failed = await seen(run_id)
    assert (failed.status, failed.error) == ("failed", "no such goal")
    assert failed.completed_at is not None
    edited = {"goal": "better", "actor": "ada", "context": {"text": LARGE}}
    await queue.dead_letters.requeue(run_id, payload=edited)
    again = await seen(run_id)
    assert (again.status, again.attempt, again.error, again.completed_at) == ("queued", 0, None, None)
    assert (again.goal, again.actor, again.context) == ("better", "ada", {"text": LARGE})
    assert again.created_at == failed.created_at
    assert await queue.dequeue("one", 0)
    assert await queue.complete(run_id, {"answer": 1})
    done = await seen(run_id)
    assert (done.status, done.attempt, done.result, done.goal) == ("completed", 1, {"answer": 1}, "better")
    assert projector.stats.facts_set_aside == 0


async def test_each_stage_of_a_run_is_seen(
    queue: RedisStreamsQueue, database: Database, history: HistoryReader
) -> None:
    projector = Projector.of_runs(queue, database)

    async def status_of(run_id: str) -> tuple[str, int, str | None]:
        while await projector.run_once():
            continue
        run = await history.get_run(run_id)
        assert run is not None
        return run.status, run.attempt, run.error

    run_id = await queue.enqueue(run_of("plain"))
    assert await status_of(run_id) == ("queued", 0, None)
    assert await queue.dequeue("one", 0)
    assert await status_of(run_id) == ("running", 1, None)
    assert await queue.fail(run_id, "away", requeue=True)
    assert await status_of(run_id) == ("retrying", 1, "away")
    async with asyncio.timeout(10):
        while not (await queue.engine.promote())[0]:
            continue
    assert await status_of(run_id) == ("queued", 1, "away")
    assert await queue.dequeue("one", 1000)
    assert await status_of(run_id) == ("running", 2, "away")
    assert await queue.complete(run_id, {"answer": 1})
    assert await status_of(run_id) == ("completed", 2, None)


async def test_a_thousand_runs_by_two_projectors(
    queue: RedisStreamsQueue,
    database: Database,
    redis_client: redis.asyncio.Redis,
    run_projector: Callable[[Projector], Projector],
) -> None:
    ids = await enqueue_runs(queue, 1000)
    # Small batches, so that the two always have neighbours in hand.
    one, two = (run_projector(Projector(queue, database, RunBook(), batch=40)) for _ in range(2))
    await work_off(queue)
    await caught_up(queue, redis_client)
    assert min(one.stats.facts_written, two.stats.facts_written) > 0
    await assert_same_as_redis(queue, database, ids)


async def test_postgres_away_for_a_while(
    queue: RedisStreamsQueue,
    tmp_path: Path,
    redis_client: redis.asyncio.Redis,
    run_projector: Callable[[Projector], Projector],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "penstock.runs")
    data_dir = tmp_path / "data"
    async with EmbeddedPostgres(data_dir) as server:
        await migrate(server.url)
        database = Database(server.url)
        projector = run_projector(Projector.of_runs(queue, database))
        ids = await enqueue_runs(queue, len(FATES))
        await caught_up(queue, redis_client)
    await work_off(queue)

    async def waits_a_while() -> bool:
        return projector.stats.lag_seconds > 1

    await until(waits_a_while)
    assert await facts_left(queue, redis_client) > 0
    waits = [record for record in caplog.records if "waits" in record.message]
    assert [record.levelname for record in waits] == ["WARNING"], "one warning an outage"
    async with EmbeddedPostgres(data_dir):
        await caught_up(queue, redis_client)
        await assert_same_as_redis(queue, database, ids)
        await projector.stop()
        assert "goes on" in caplog.records[-1].message
        assert projector.stats.longest_lag_seconds > 1
        await database.close()


async def test_redis_cut_and_refusing_for_a_while(
    make_queue: MakeQueue,
    queue: RedisStreamsQueue,
    proxy: FaultProxy,
    database: Database,
    redis_client: redis.asyncio.Redis,
    run_projector: Callable[[Projector], Projector],
) -> None:
    through_proxy = await make_queue("runs", url=proxy.url, config=queue.config)
    # Replies are lost on their way: what was handed out is asked for again, what was
    # acknowledged is not missed.
    proxy.cut_after("XREADGROUP", times=3)
    proxy.cut_after("XACK", times=2)
    run_projector(Projector(through_proxy, database, RunBook(), batch=20, dead_reader_seconds=600))
    ids = await enqueue_runs(queue, 2 * len(FATES))
    await caught_up(queue, redis_client)
    await proxy.refuse()
    await proxy.cut()
    await work_off(queue)
    await proxy.start()
    await caught_up(queue, redis_client)
    await assert_same_as_redis(queue, database, ids)


async def test_facts_that_cannot_be_kept_are_set_aside(
    queue: RedisStreamsQueue,
    database: Database,
    redis_client: redis.asyncio.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = queue.engine.keys.events
    good = {"event": "started", "at": "1", "attempt": "1", "worker": "w"}
    poison = [
        {"what": "is this"},
        good | {"event": "enqueued", "job": "p1", "spec": "{broken"},
        good | {"event": "enqueued", "job": "p2", "spec": '{"format": 99}'},
        good | {"event": "teleported", "job": "p3"},
        good | {"event": "step", "job": "p4", "name": "n", "body": "[]"},
        good | {"event": "progress", "job": "p5", "percent": "most", "step": ""},
        good | {"event": "completed", "job": "p6", "result": "not json"},
        good | {"event": "completed", "job": "p7", "result": "[" * 9000 + "]" * 9000},
        good | {"event": "started", "job": "p8", "attempt": "99999999999"},
        good | {"event": "started", "job": "p9", "at": "9" * 40},
    ]
    ids = []
    for fields in poison:
        ids += await enqueue_runs(queue, 1)
        await redis_client.xadd(events, fields)  # type: ignore[arg-type]
    await work_off(queue)
    projector = Projector.of_runs(queue, database)
    while await projector.run_once():
        continue
    assert await facts_left(queue, redis_client) == 0
    await assert_same_as_redis(queue, database, ids)
    assert projector.stats.facts_set_aside == len(poison)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert ["facts_set_aside" in record.message for record in errors] == [True] * len(poison)
    async with database.begin() as connection:
        rows = (
            await connection.exec_driver_sql("SELECT job_id, reason FROM facts_set_aside ORDER BY id")
        ).all()
    assert [row.job_id for row in rows] == ["", *(f"p{place}" for place in range(1, len(poison)))]
    assert all(row.reason for row in rows)


async def test_events_are_trimmed_only_behind_history(
    queue: RedisStreamsQueue, database: Database, redis_client: redis.asyncio.Redis
) -> None:
    events = queue.engine.keys.events
    await enqueue_runs(queue, 30)
    janitor = Janitor(queue.engine)
    before = await redis_client.xlen(events)
    projector = Projector(queue, database, RunBook(), batch=10)
    await redis_client.xgroup_setid(events, "webhooks", "$")
    await janitor.sweep()
    assert await redis_client.xlen(events) == before
    await projector.run_once()
    await janitor.sweep()
    assert await redis_client.xlen(events) == before - 10
    await projector._reader.read(10)  # neither written nor acknowledged
    await janitor.sweep()
    assert await redis_client.xlen(events) == before - 10
    projector._reader.repeat()
    while await projector.run_once():
        continue
    await janitor.sweep()
    assert await redis_client.xlen(events) == 0


async def test_without_tables_it_waits_for_them(
    queue: RedisStreamsQueue, empty_database_url: str, run_projector: Callable[[Projector], Projector]
) -> None:
    [run_id, *_] = await enqueue_runs(queue, 3)
    async with Database(empty_database_url) as database:
        projector = Projector(queue, database, RunBook(), dead_reader_seconds=600)
        with pytest.raises(HistoryUnavailableError, match="no tables"):
            await projector.run_once()
        run_projector(projector)
        await migrate(empty_database_url)

        async def is_written() -> object:
            return await HistoryReader(database).get_run(run_id)

        await until(is_written)
        await projector.stop()
