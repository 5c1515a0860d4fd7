"""What jobs report as used: summed by hour, and asked for by name, type, key and time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock import ConfigurationError
from penstock.store.usage import UsageSum
from tests.store.scene import Scene

HOUR = 3600


async def _report(scene: Scene, job_id: str, **amounts: float) -> None:
    claimed = await scene.take_one(job_id)
    job = await scene.queue.get_status(job_id)
    assert job is not None
    entries = [(job_id, claimed.lease, job.type, name, amount) for name, amount in amounts.items()]
    assert set(await scene.engine.report_usage(entries)) == {"ok"}
    await scene.settle(claimed)


@pytest.mark.usefixtures("server")
async def test_sums_by_name_type_key_and_hour(scene: Scene) -> None:
    start = scene.clock.now_ms // 1000 // HOUR * HOUR
    await scene.add("a", type="chat", concurrency_key="tenant:1")
    await _report(scene, "a", tokens=100, cost=0.25)
    await scene.add("b", type="chat", concurrency_key="tenant:2")
    await _report(scene, "b", tokens=10)
    scene.clock.advance(seconds=2 * HOUR)
    await scene.add("c", type="embed")
    await _report(scene, "c", **{"tokens": 1, "in|out": 7})

    usage = scene.queue.usage
    assert await usage() == [UsageSum("cost", 0.25), UsageSum("in|out", 7), UsageSum("tokens", 111)]
    assert await usage(by="type") == [
        UsageSum("cost", 0.25, type="chat"),
        UsageSum("tokens", 110, type="chat"),
        UsageSum("in|out", 7, type="embed"),
        UsageSum("tokens", 1, type="embed"),
    ]
    assert [(row.key, row.amount) for row in await usage(by="key") if row.name == "tokens"] == [
        ("", 1),
        ("tenant:1", 100),
        ("tenant:2", 10),
    ]
    assert [
        (row.hour, row.type, row.amount) for row in await usage(by=("hour", "type")) if row.name == "tokens"
    ] == [
        (start, "chat", 110),
        (start + 2 * HOUR, "embed", 1),
    ]


async def test_a_window_counts_the_hours_it_touches(scene: Scene) -> None:
    start = scene.clock.now_ms // 1000 // HOUR * HOUR
    for hour in range(4):
        scene.clock.now_ms = (start + hour * HOUR + 60) * 1000
        await scene.add(f"j{hour}")
        await _report(scene, f"j{hour}", calls=10**hour)

    async def calls(since: Any, until: Any) -> float:
        return sum(row.amount for row in await scene.queue.usage(since, until))

    assert await calls(start, start + 4 * HOUR) == 1111
    assert await calls(start + HOUR, start + 2 * HOUR) == 110
    assert await calls(start + HOUR + 1800, start + HOUR + 1801) == 10
    moment = datetime.fromtimestamp(start + 3 * HOUR, UTC)
    assert await calls(moment, moment + timedelta(minutes=1)) == 1000
    assert await calls(start - 10 * HOUR, start - 1) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"by": "queue"}, "cannot be summed by 'queue'"),
        ({"by": ("type", "x")}, "expected some of hour, type, key, name"),
        ({"since": "yesterday"}, "since must be an aware datetime"),
        ({"since": datetime(2026, 1, 1)}, "since must be an aware datetime"),
        ({"since": 0.0}, "at most 33"),
    ],
)
async def test_what_cannot_be_asked_says_so(scene: Scene, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        await scene.queue.usage(**arguments)
