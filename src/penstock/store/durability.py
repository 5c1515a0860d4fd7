"""Durable enqueueing: jobs are accepted, and their fsync is awaited, on one connection.

``WAITAOF`` waits for what its own connection wrote, so everything travels on one that is checked out
for the time. A harmless write goes along: a job that an earlier, unanswered call had accepted is
not written again, and without a write of its own the connection would have nothing to wait for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from redis.asyncio import RedisCluster
from redis.exceptions import AskError, MovedError, NoScriptError, RedisError, ResponseError

from penstock.core.acceptance import AcceptedJob
from penstock.core.errors import DurabilityError, NotYetDurableError, QueueUnavailableError
from penstock.store.connect import longest_wait_seconds, translated
from penstock.store.engine import Engine
from penstock.store.script_calls import BATCH

LONGEST_FSYNC_MS = 5000
_PROBE = ("WAITAOF", 1, 0, 1)


async def enqueue_durably(engine: Engine, parcels: Sequence[tuple[AcceptedJob, int]]) -> list[str]:
    """Accept jobs, each after its delay in ms, and return their codes once they are on disk.

    Raises ``DurabilityError`` before anything is written when the server keeps no append-only file
    or cannot say when it is on disk (Redis 7.2 and Valkey can); ``NotYetDurableError`` when the fsync
    was not seen within five seconds.
    """
    with translated(engine.where):
        async with _one_connection(engine) as connection:
            await _check_promise(engine, connection)
            batches = [parcels[at : at + BATCH] for at in range(0, len(parcels), BATCH)]
            codes, synced = await _write(engine, connection, batches)
    if synced < 1:
        raise NotYetDurableError(
            f"{engine.where} did not put the {'job' if len(parcels) == 1 else 'jobs'} on disk within "
            f"{_fsync_ms(engine) / 1000:g} s: kept or not, enqueueing again under the same id is safe "
            "(with appendfsync no, the server never says that anything is on disk)"
        )
    return codes


async def _check_promise(engine: Engine, connection: Any) -> None:
    try:
        await _ask(connection, [_PROBE])
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            lack = "it has no WAITAOF command: Redis 7.2 or newer or Valkey is needed"
        elif "appendonly is disabled" in str(error):
            lack = "its append-only file is off: set appendonly to yes"
        else:
            lack = f"it answered: {error}"
        raise DurabilityError(
            f"{engine.where} cannot promise durability: {lack}; nothing was written"
        ) from error


async def _write(
    engine: Engine, connection: Any, batches: Sequence[Sequence[tuple[AcceptedJob, int]]]
) -> tuple[list[str], int]:
    calls = [
        engine.enqueue_call([job for job, _ in batch], [delay for _, delay in batch]) for batch in batches
    ]
    commands = [call.command for call in calls]
    commands += [["HINCRBY", engine.keys.counts, "pending", 0], ["WAITAOF", 1, 0, _fsync_ms(engine)]]
    try:
        answers = await _ask(connection, commands)
    except NoScriptError:
        await _ask(connection, [["SCRIPT", "LOAD", calls[0].source]])
        answers = await _ask(connection, commands)
    codes = [code.decode() for answer in answers[: len(calls)] for code in answer]
    return codes, int(answers[-1][0])


async def _ask(connection: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Send commands together; every answer is read before the first error is raised."""
    for command in commands:
        await connection.send_command(*command)
    answers: list[Any] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    for answer in answers:
        if isinstance(answer, MovedError | AskError):
            raise QueueUnavailableError(f"the queue has moved to another node ({answer}); enqueue again")
        if isinstance(answer, RedisError):
            raise answer
    return answers


@asynccontextmanager
async def _one_connection(engine: Engine) -> AsyncIterator[Any]:
    """A connection of nobody else's. One that fails or is left in the middle of an answer closes itself."""
    client = cast("Any", engine.client)
    if isinstance(engine.client, RedisCluster):
        await client.initialize()
        node = client.get_node_from_key(engine.keys.stream)
        connection = node.acquire_connection()
    else:
        node = None
        connection = await client.connection_pool.get_connection()
    try:
        if node is not None:
            await connection.connect()
        yield connection
    finally:
        if node is not None:
            node.release(connection)
        else:
            await client.connection_pool.release(connection)


def _fsync_ms(engine: Engine) -> int:
    return min(LONGEST_FSYNC_MS, round(longest_wait_seconds(engine.client) * 1000))
