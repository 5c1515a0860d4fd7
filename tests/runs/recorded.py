"""Recorded jobs of every fate, and the comparison of their history with what Redis says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis.asyncio
from sqlalchemy import select

from penstock.core.errors import ConfigurationError
from penstock.core.job import Job
from penstock.core.names import new_job_id
from penstock.runs.database import Database
from penstock.runs.models import run_steps, runs
from penstock.runs.queues import HISTORY_GROUP
from penstock.runs.status import run_status
from penstock.store.streams import RedisStreamsQueue
from penstock.worker.context import JobContext
from penstock.worker.worker import Worker

LARGE = "x" * 40_000
FATES = ("plain", "large", "retried", "failed", "nul", "silent", "cancelled")


def run_of(fate: str) -> Job:
    """A run that will meet this fate."""
    payload: dict[str, Any] = {
        "goal": fate,
        "actor": f"actor of {fate}",
        "autonomy_level": "L2_ExecuteNotify",
    }
    payload |= {"context": {"depth": [1, {"a": None}]}, "webhook_url": f"https://receiver.example/{fate}"}
    if fate == "large":
        payload["context"] = {"text": LARGE}
    if fate == "nul":
        payload["goal"] = "nul\x00 and \\u0000 as text"
    metadata = {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
    # Rounded as both sides keep it, so that they can be compared exactly.
    created_at = round(time.time(), 3)
    return Job(payload, "agent", new_job_id(), created_at=created_at, record=True, metadata=metadata)


async def agent(ctx: JobContext) -> Any:
    """A handler that does what the goal says."""
    goal = str(ctx.payload["goal"])
    if goal == "silent":
        return None
    await ctx.progress(10, "planning")
    await ctx.step("plan", lambda: {"steps": [goal]})
    await ctx.progress(60)
    if goal == "retried" and ctx.attempt == 1:
        raise ConnectionError("the model was away")
    if goal == "failed":
        raise ValueError(f"no way to {goal}")
    await ctx.step("act", lambda: LARGE if goal == "large" else [goal, 1.5, None, "é"])
    return {"answer": LARGE if goal == "large" else goal}


async def enqueue_runs(queue: RedisStreamsQueue, count: int) -> list[str]:
    """Runs of all fates in turn; those to be cancelled are, at once."""
    jobs = [run_of(FATES[place % len(FATES)]) for place in range(count)]
    ids = await queue.enqueue_many(jobs)
    for job in jobs:
        if job.payload["goal"] == "cancelled":
            assert await queue.cancel(job.id)
    return ids


async def work_off(queue: RedisStreamsQueue) -> None:
    """A worker until everything has ended, retries included."""
    while True:
        await Worker(queue, {"agent": agent}, max_concurrent=50).run_until_idle()
        stats = await queue.get_queue_stats()
        if stats["pending"] + stats["retrying"] + stats["processing"] == 0:
            return


async def assert_same_as_redis(queue: RedisStreamsQueue, database: Database, ids: list[str]) -> None:
    """Each run and step of history is what Redis says, and there is nothing else."""
    rows, steps = await whole_history(database)
    assert sorted(rows) == sorted(ids)
    for run_id in ids:
        job = await queue.get_status(run_id)
        assert job is not None
        wanted = _wanted(job, queue.queue_name)
        found = {name: rows[run_id][name] for name in wanted}
        differences = {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}
        assert not differences, f"history and Redis differ on {run_id}: {differences}"
        stored = await queue.engine.load_steps(run_id)
        mine = [step for step in steps if step["run_id"] == run_id]
        assert {step["name"]: {"inputs": step["inputs"], "result": step["result"]} for step in mine} == {
            name: _storable(_without_place(msgspec.json.decode(body))) for name, body in stored.items()
        }
        assert [(step["position"], step["name"]) for step in mine] == list(
            enumerate(["plan", "act"][: len(stored)], 1)
        )


async def whole_history(database: Database) -> tuple[dict[str, Any], list[Any]]:
    """All runs by id, and all steps in order."""
    async with database.begin() as connection:
        rows = (await connection.execute(select(runs))).mappings().all()
        order = (run_steps.c.run_id, run_steps.c.position)
        steps = (await connection.execute(select(run_steps).order_by(*order))).mappings().all()
    return {row["run_id"]: dict(row) for row in rows}, [dict(step) for step in steps]


async def facts_left(queue: RedisStreamsQueue, client: redis.asyncio.Redis) -> int:
    """How many facts history has not acknowledged."""
    groups = await client.xinfo_groups(queue.engine.keys.events)
    group = next((each for each in groups if each["name"] == HISTORY_GROUP), None)
    if group is None:
        raise ConfigurationError("the group of history is missing")
    return int(group["pending"]) + int(group["lag"])


async def until(fact: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Wait until what others write is there."""
    async with asyncio.timeout(seconds):
        while not await fact():  # noqa: ASYNC110 - there is no signal across two servers
            await asyncio.sleep(0.02)


async def caught_up(queue: RedisStreamsQueue, client: redis.asyncio.Redis) -> None:
    """Wait until history has acknowledged everything."""

    async def nothing_is_left() -> bool:
        return await facts_left(queue, client) == 0

    await until(nothing_is_left)


def _wanted(job: Job, queue_name: str) -> dict[str, Any]:
    payload = _storable(job.payload)
    return {
        "kind": "agent",
        "actor": payload["actor"],
        "goal": payload["goal"],
        "autonomy_level": payload["autonomy_level"],
        "context": payload["context"],
        "webhook_url": payload["webhook_url"],
        "trace_id": job.metadata["trace_id"],
        "queue": queue_name,
        "status": run_status(job.status),
        "progress": job.progress,
        "current_step": job.current_step,
        "attempt": job.attempts,
        "created_at": _moment(round(job.created_at, 3)),
        "started_at": _moment(job.started_at),
        "completed_at": _moment(job.completed_at),
        "result": _storable(job.result),
        "error": None if job.status == "completed" else job.error,
    }


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _without_place(step: dict[str, Any]) -> dict[str, Any]:
    """History numbers steps by the order in which they finished, not by that of their calls."""
    return {name: value for name, value in step.items() if name != "place"}


def _storable(value: Any) -> Any:
    """The value as PostgreSQL can hold it: a NUL character becomes a mark."""
    if isinstance(value, str):
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return {name: _storable(item) for name, item in value.items()} if isinstance(value, dict) else value
