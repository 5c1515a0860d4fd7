"""Large payloads, results, steps and inputs: stored small, read back the same everywhere."""

import random
import zlib
from typing import Any

import pytest

from penstock import Job, JobStatusTracker, QueueConfig
from penstock.core.codec import decode
from penstock.core.compression import MARK, compressed, expanded
from penstock.core.errors import InvalidJobError
from penstock.store.events import EventReader
from tests.conftest import MakeClient, MakeQueue
from tests.harness.servers import Server
from tests.store.conftest import MakeScene

LARGE: dict[str, Any] = {"rows": [{"id": n, "name": f"user-{n}"} for n in range(2000)]}
MIDDLE: dict[str, Any] = {"rows": [{"id": n, "name": f"user-{n}"} for n in range(300)]}
NEVER = 1_048_576


@pytest.mark.parametrize("value", [b"", b"x" * 4096, random.Random(1).randbytes(5000)])
def test_what_is_small_or_does_not_shrink_is_left_alone(value: bytes) -> None:
    assert compressed(value, 4096) == value


def test_large_json_shrinks_and_comes_back() -> None:
    raw = b'{"a": "' + b"word " * 5000 + b'"}'
    stored = compressed(raw, 4096)
    assert stored.startswith(MARK)
    assert len(stored) < len(raw) / 5
    assert expanded(stored) == raw
    assert decode(stored) == decode(raw)


@pytest.mark.parametrize(
    "stored",
    [
        MARK,
        MARK + b"no",
        MARK + zlib.compress(b"x" * 1000)[:-3],
        MARK + zlib.compress(b"0" * (17 * 1024 * 1024)),
    ],
)
def test_damaged_and_exploding_data_is_an_error(stored: bytes) -> None:
    with pytest.raises(InvalidJobError, match="cannot be unpacked"):
        expanded(stored)


async def _stored_sizes(client: Any, job_id: str) -> dict[str, int]:
    sizes = {"payload": await client.strlen(f"penstock:{{q}}:payload:{job_id}")}
    sizes["result"] = await client.strlen(f"penstock:{{q}}:result:{job_id}")
    sizes["inline"] = await client.hstrlen(f"penstock:{{q}}:job:{job_id}", "result")
    return sizes


@pytest.mark.parametrize("value", [MIDDLE, LARGE], ids=["inline", "apart"])
@pytest.mark.usefixtures("server")
async def test_payload_and_result_are_the_same_to_every_reader(
    make_scene: MakeScene, make_client: MakeClient, target: Server, value: dict[str, Any]
) -> None:
    scene = await make_scene(event_groups=("history",), compress_above_bytes=4096)
    await scene.add("a", payload=value, record=True)
    job = await scene.queue.dequeue("w", 0)
    assert job is not None
    assert job.payload == value
    assert await scene.queue.complete("a", value)
    found = await scene.queue.get_status("a")
    assert found is not None
    assert (found.payload, found.result) == (value, value)
    assert await scene.queue.result("a") == value
    tracker = JobStatusTracker(make_client(target, decode_responses=False), "q", scene.queue.config)
    seen = await tracker.get_job("a")
    assert seen is not None
    assert (seen.payload, seen.result) == (value, value)
    facts = await EventReader(scene.engine, "history", "reader").read()
    completed = next(fact for fact in facts if fact.event == "completed")
    raw = completed.fields.get("result") or await scene.engine.load_result("a")
    assert raw is not None
    assert decode(raw) == value
    assert raw.startswith(b"{"), "readers are given JSON, not what is stored"


async def test_large_values_take_less_room(make_scene: MakeScene) -> None:
    sizes = {}
    for above in (4096, NEVER):
        scene = await make_scene(compress_above_bytes=above)
        job_id = f"j{above}"
        await scene.add(job_id, payload=LARGE)
        await scene.queue.dequeue("w", 0)
        await scene.queue.complete(job_id, LARGE)
        sizes[above] = await _stored_sizes(scene.client, job_id)
    assert sizes[NEVER]["payload"] > 5 * sizes[4096]["payload"] > 0
    # Compressed, the result has become small enough to stay in the job's hash.
    assert sizes[NEVER]["result"] > 3 * sizes[4096]["inline"] > 0
    assert sizes[4096]["result"] == 0


async def test_values_stored_before_stay_readable(make_queue: MakeQueue) -> None:
    before = await make_queue("q", config=QueueConfig(compress_above_bytes=NEVER))
    after = await make_queue("q", config=QueueConfig(compress_above_bytes=256))
    await before.enqueue(Job(id="a", payload=LARGE))
    job = await after.dequeue("w", 0)
    assert job is not None
    assert job.payload == LARGE
    await after.complete("a", LARGE)
    found = await before.get_status("a")
    assert found is not None
    assert found.result == LARGE


async def test_steps_and_inputs_come_back_whole(make_scene: MakeScene) -> None:
    scene = await make_scene(compress_above_bytes=4096)
    raw = b'{"inputs":"f","result":"' + b"word " * 2000 + b'"}'
    await scene.add("parent", record=True)
    await scene.add("child", parents=["parent"])
    claimed = await scene.take_one("parent")
    assert await scene.engine.store_steps([("parent", claimed.lease, "one", raw)]) == ["ok"]
    assert await scene.client.hstrlen(scene.keys.steps + "parent", "one") < len(raw) / 5
    assert await scene.engine.load_steps("parent") == {"one": raw}
    facts = await EventReader(scene.engine, "history", "reader").read()
    assert next(fact for fact in facts if fact.event == "step").fields["body"] == raw
    await scene.settle(claimed, body=raw)
    await scene.engine.promote()
    assert await scene.engine.load_inputs("child") == {"parent": ("completed", raw)}


async def test_a_damaged_result_is_told_not_raised(make_scene: MakeScene) -> None:
    scene = await make_scene(compress_above_bytes=4096)
    await scene.add("a")
    await scene.settle(await scene.take_one("a"), body=b"1")
    await scene.client.hset(scene.keys.job + "a", "result", b"\x01broken")
    found = await scene.queue.get_status("a")
    assert found is not None
    assert "cannot be unpacked" in (found.error or "")
