"""Reading the history: what comes back is plain, complete and in order."""

from __future__ import annotations

from datetime import UTC, datetime

from penstock.core.job import Job
from penstock.runs.database import Database
from penstock.runs.history import HistoryReader
from penstock.runs.projector import Projector
from penstock.runs.queues import run_queue_config, webhook_queue_config
from penstock.store.streams import RedisStreamsQueue
from tests.conftest import MakeQueue

START = 1_790_000_000.0


async def enqueue(queue: RedisStreamsQueue, actor: str, *ids: str) -> None:
    """Runs of one actor, a second apart, the later id the newer."""
    await queue.enqueue_many(
        Job(
            payload={"goal": f"goal of {name}", "actor": actor},
            type="agent",
            id=name,
            record=True,
            created_at=at,
        )
        for at, name in ((START + int(name[1:]), name) for name in ids)
    )


async def test_runs_are_listed_newest_first_in_pages(
    make_queue: MakeQueue, database: Database, history: HistoryReader
) -> None:
    queue = await make_queue("runs", config=run_queue_config())
    await enqueue(queue, "ann", "r1", "r3", "r5")
    await enqueue(queue, "bob", "r2", "r4")
    await queue.cancel("r3")
    projector = Projector.of_runs(queue, database)
    while await projector.run_once():
        continue
    assert [run.run_id for run in await history.list_runs()] == ["r5", "r4", "r3", "r2", "r1"]
    page = await history.list_runs(limit=2)
    assert [run.run_id for run in page] == ["r5", "r4"]
    rest = await history.list_runs(before=page[-1].created_at)
    assert [run.run_id for run in rest] == ["r3", "r2", "r1"]
    assert [run.run_id for run in await history.list_runs(actor="bob")] == ["r4", "r2"]
    assert [run.run_id for run in await history.list_runs(status="cancelled", actor="ann")] == ["r3"]
    assert await history.list_runs(actor="nobody") == []
    assert await history.count_runs() == dict.fromkeys(
        ["running", "retrying", "awaiting_approval", "completed", "failed"], 0
    ) | {"queued": 4, "cancelled": 1}
    assert (await history.count_runs(actor="bob"))["queued"] == 2
    assert page[0].created_at == datetime.fromtimestamp(START + 5, UTC)
    assert await history.get_run("r9") is None
    assert await history.steps_of("r9") == []


async def test_deliveries_of_a_run(make_queue: MakeQueue, database: Database, history: HistoryReader) -> None:
    queue = await make_queue("webhooks", config=webhook_queue_config())
    payload = {
        "url": "https://receiver.example/hook",
        "event": "run.completed",
        "run_id": "r1",
        "actor": "ann",
    }
    await queue.enqueue(Job(payload=payload, type="webhook", id="wh:r1:run.completed", record=True))
    await queue.enqueue(Job(payload=payload | {"run_id": "r2"}, type="webhook", id="wh:r2:x", record=True))
    assert await queue.dequeue("one", 0)
    await queue.fail("wh:r1:run.completed", "410 Gone")
    projector = Projector.of_deliveries(queue, database)
    while await projector.run_once():
        continue
    [delivery] = await history.deliveries_of("r1")
    assert (delivery.delivery_id, delivery.event, delivery.url) == (
        "wh:r1:run.completed",
        "run.completed",
        "https://receiver.example/hook",
    )
    assert (delivery.status, delivery.attempts, delivery.error) == ("failed", 1, "410 Gone")
    assert delivery.completed_at is not None
    assert [one.status for one in await history.deliveries_of("r2")] == ["queued"]
    assert await history.deliveries_of("r3") == []
    assert await history.list_runs() == []
