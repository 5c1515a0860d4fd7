"""Facts in any order, more than once, in any slices: history ends up the same."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from penstock.core.errors import InvalidJobError
from penstock.runs.bodies import SLICE_BYTES, slices
from penstock.runs.books import Book, DeliveryBook, RunBook
from penstock.runs.changes import fold
from penstock.runs.database import Database
from penstock.runs.models import deliveries
from penstock.runs.queues import run_queue_config
from penstock.store.events import EventReader, Fact
from tests.conftest import MakeQueue
from tests.runs.recorded import FATES, enqueue_runs, whole_history, work_off


async def write(database: Database, book: Book, facts: Sequence[Fact]) -> None:
    """One batch."""
    async with database.begin() as connection:
        await book.write(connection, "runs", fold(facts))


async def facts_of_many_fates(make_queue: MakeQueue, database: Database) -> list[Fact]:
    """What a worker's runs have on their events stream; written in order and found true."""
    config = run_queue_config().model_copy(update={"retry_base_delay": 0.01})
    queue = await make_queue("runs", config=config)
    ids = await enqueue_runs(queue, len(FATES))
    await work_off(queue)
    facts = await EventReader(queue.engine, "witness", "one").read(10_000)
    small = [
        fact for fact in facts if not fact.fields.get("result_apart") and b"apart" not in str(fact).encode()
    ]
    assert len(ids) == len(FATES)
    return small


@pytest.mark.parametrize("seed", range(2))
async def test_any_order_ends_in_the_same_rows(make_queue: MakeQueue, database: Database, seed: int) -> None:
    chance = random.Random(seed)
    facts = await facts_of_many_fates(make_queue, database)
    for fact in facts:
        await write(database, RunBook(), [fact])
    in_order = await whole_history(database)
    assert len(in_order[0]) >= len(FATES) - 1
    async with database.begin() as connection:
        await connection.exec_driver_sql("TRUNCATE runs CASCADE")
    again = facts + chance.sample(facts, len(facts) // 3)
    chance.shuffle(again)
    while again:
        size = chance.randint(1, 9)
        await write(database, RunBook(), again[:size])
        again = again[size:]
    assert await whole_history(database) == in_order


@pytest.mark.parametrize("seed", range(2))
async def test_deliveries_end_the_same_in_any_order(database: Database, seed: int) -> None:
    spec = b'{"format":1,"type":"webhook","created_at":5.0,"payload":{"run_id":"r","url":"u","event":"e"}}'
    told: list[tuple[str, int, dict[str, bytes]]] = [
        ("enqueued", 0, {"spec": spec}),
        ("started", 1, {}),
        ("retrying", 1, {"error": b"503", "delay_ms": b"1"}),
        ("promoted", 1, {}),
        ("started", 2, {}),
        ("crashed", 2, {}),
        ("started", 3, {}),
        ("completed", 3, {}),
    ]
    facts = [
        Fact(f"{9000 + place // 3}-{place % 3}", event, "d1", 9000 + place, attempt, fields)
        for place, (event, attempt, fields) in enumerate(told)
    ]
    again = facts * 2
    random.Random(seed).shuffle(again)
    for fact in again:
        await write(database, DeliveryBook(), [fact])
    async with database.begin() as connection:
        [row] = (await connection.execute(deliveries.select())).mappings().all()
    assert (row["status"], row["attempts"], row["error"]) == ("completed", 3, None)
    assert (row["run_id"], row["url"], row["event"]) == ("r", "u", "e")
    assert (row["created_at"].timestamp(), row["completed_at"].timestamp()) == (5.0, 9.007)


async def test_an_attempt_that_was_not_spent_is_given_back(database: Database) -> None:
    unspent = {"released": "queued", "deferred": "retrying", "suspended": "awaiting_approval"}
    events = [event for name in unspent for event in ("started", name)]
    for place, event in enumerate(events):
        await write(database, RunBook(), [Fact(f"1-{place}", event, "r1", 1, 1, {})])
        rows, _ = await whole_history(database)
        wanted = ("running", 1) if event == "started" else (unspent[event], 0)
        assert (rows["r1"]["status"], rows["r1"]["attempt"]) == wanted


async def test_an_id_enqueued_anew_begins_anew(database: Database) -> None:
    spec = b'{"format":1,"type":"agent","created_at":%d,"payload":{"goal":"%s"}}'
    await write(database, RunBook(), [Fact("5-0", "enqueued", "r1", 5, 0, {"spec": spec % (1, b"one")})])
    await write(database, RunBook(), [Fact("6-0", "completed", "r1", 6, 1, {"result": b"1"})])
    await write(database, RunBook(), [Fact("7-0", "enqueued", "r1", 7, 0, {"spec": spec % (2, b"two")})])
    rows, _ = await whole_history(database)
    row = rows["r1"]
    assert (row["status"], row["goal"], row["result"], row["completed_at"]) == ("queued", "two", None, None)


@pytest.mark.parametrize("seed", range(4))
async def test_a_run_put_back_after_it_failed_is_queued_again(database: Database, seed: int) -> None:
    spec = b'{"format":1,"type":"agent","created_at":1,"payload":{"goal":"%s"}}'
    told: list[tuple[str, int, dict[str, bytes]]] = [
        ("enqueued", 0, {"spec": spec % b"one"}),
        ("started", 1, {}),
        ("failed", 1, {"error": b"no"}),
        ("requeued", 0, {"spec": spec % b"two", "requeues": b"1"}),
    ]
    facts = [
        Fact(f"{place}-0", event, "r1", 10 + place, attempt, fields)
        for place, (event, attempt, fields) in enumerate(told, 1)
    ]
    again = facts * 2
    random.Random(seed).shuffle(again)
    for fact in again:
        await write(database, RunBook(), [fact])
    rows, _ = await whole_history(database)
    row = rows["r1"]
    assert (row["status"], row["attempt"], row["error"], row["completed_at"]) == ("queued", 0, None, None)
    assert (row["goal"], row["spec"]["payload"]) == ("two", {"goal": "two"})
    await write(database, RunBook(), [Fact("5-0", "completed", "r1", 15, 1, {"result": b"1"})])
    await write(database, RunBook(), facts[:1])
    rows, _ = await whole_history(database)
    assert (rows["r1"]["status"], rows["r1"]["goal"]) == ("completed", "two")


async def test_a_run_put_back_as_it_was_keeps_what_was_asked(database: Database) -> None:
    spec = b'{"format":1,"type":"agent","created_at":1,"payload":{"goal":"one"}}'
    await write(
        database,
        RunBook(),
        [Fact("1-0", "enqueued", "r1", 1, 0, {"spec": spec}), Fact("2-0", "requeued", "r1", 2, 0, {})],
    )
    rows, _ = await whole_history(database)
    assert (rows["r1"]["status"], rows["r1"]["goal"]) == ("queued", "one")


async def test_actor_longer_than_an_index_takes_is_cut(database: Database) -> None:
    long = "ä" * 5000
    spec = ('{"format":1,"type":"agent","payload":{"actor":"%s"}}' % long).encode()  # noqa: UP031 - braces
    await write(database, RunBook(), [Fact("5-0", "enqueued", "r1", 5, 0, {"spec": spec})])
    rows, _ = await whole_history(database)
    assert rows["r1"]["actor"] == long[:512]
    assert rows["r1"]["spec"]["payload"]["actor"] == long


def test_batches_are_cut_by_size() -> None:
    body = b"x" * (SLICE_BYTES // 3)
    facts = [Fact(f"1-{place}", "step", "j", 1, 1, {"body": body}) for place in range(7)]
    pieces = list(slices(facts))
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    assert [fact for piece in pieces for fact in piece] == facts
    assert list(slices([])) == []
    apart = [Fact(f"1-{place}", "completed", "j", 1, 1, {"result_apart": b"1"}) for place in range(40)]
    assert max(len(piece) for piece in slices(apart)) <= 16


def test_unknown_event_is_not_guessed_at() -> None:
    with pytest.raises(InvalidJobError, match="does not know"):
        fold([Fact("1-0", "teleported", "j", 1, 1, {})])
