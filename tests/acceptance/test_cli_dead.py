"""`penstock dead` as a user runs it."""

import json
from collections.abc import Awaitable, Callable

import pytest

from penstock import Job, JobContext, RedisStreamsQueue, Worker
from tests.acceptance.command_line import Finished, penstock
from tests.conftest import MakeQueue
from tests.harness.servers import Server

Dead = Callable[..., Awaitable[Finished]]


@pytest.fixture
def dead(valkey: Server) -> Dead:
    """Runs `penstock dead` with these words."""

    async def run(*words: str) -> Finished:
        return await penstock("dead", *words, redis_url=valkey.url)

    return run


async def send(ctx: JobContext) -> None:
    if ctx.payload["to"] == "nobody":
        raise ValueError(f"no such address: {ctx.payload['to']}")


@pytest.fixture
async def queue(make_queue: MakeQueue) -> RedisStreamsQueue:
    """A queue with three jobs that failed and one that did not."""
    queue = await make_queue()
    for job_id, to in (("m1", "nobody"), ("m2", "nobody"), ("m3", "nobody"), ("m4", "ada")):
        await queue.enqueue(Job({"to": to}, "send", job_id))
    await Worker(queue, {"send": send}, max_concurrent=1).run_until_idle()
    return queue


async def test_looking_at_dead_letters(dead: Dead, queue: RedisStreamsQueue) -> None:
    listed = await dead("list")
    assert (listed.code, listed.stderr) == (0, "")
    assert listed.stdout.index("m3") < listed.stdout.index("m2") < listed.stdout.index("m1")
    assert "no such address: nobody" in listed.stdout
    first = json.loads((await dead("list", "--limit", "2", "--json")).stdout)
    rest = json.loads((await dead("list", "--before", first[-1]["letter_id"], "--json")).stdout)
    assert [letter["job_id"] for letter in first + rest] == ["m3", "m2", "m1"]
    shown = await dead("show", "m1")
    assert shown.code == 0
    for words in ('{"to": "nobody"}', "Traceback (most recent call last)", "raise ValueError"):
        assert words in shown.stdout
    told = json.loads((await dead("show", "m1", "--json")).stdout)
    assert (told["type"], told["payload"], told["attempts"]) == ("send", {"to": "nobody"}, 1)


async def test_putting_back_and_discarding(dead: Dead, queue: RedisStreamsQueue) -> None:
    done = await dead("requeue", "m1", "--payload", '{"to": "ada"}')
    assert (done.code, done.stdout.strip()) == (0, "put back: m1")
    done = await dead("requeue", "--error", "no such address", "--json")
    assert json.loads(done.stdout) == {"done": ["m2", "m3"], "refused": {}}
    await Worker(queue, {"send": send}).run_until_idle()
    stats = await queue.get_queue_stats()
    assert (stats["completed"], stats["failed"]) == (2, 2)
    done = await dead("discard", "m2", "m4", "none")
    assert (done.code, done.stdout.strip()) == (1, "discarded: m2")
    assert "job m4 was not discarded: it is completed" in done.stderr
    assert "job none was not discarded: queue default keeps no such job" in done.stderr
    assert (await dead("discard", "--all")).stdout.strip() == "discarded: m3"
    assert (await dead("list")).stdout.strip() == "Queue default has no dead letters."
    assert json.loads((await dead("list", "--json")).stdout) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "none"), 4),
        (("requeue", "none"), 4),
        (("requeue", "none", "--payload", "{}"), 4),
        (("requeue",), 2),
        (("discard", "a", "--all"), 2),
        (("requeue", "--all", "--payload", "{}"), 2),
        (("requeue", "a", "--payload", "{"), 2),
        (("show", "a b"), 2),
    ],
)
async def test_exit_codes(dead: Dead, words: tuple[str, ...], code: int) -> None:
    finished = await dead(*words)
    assert finished.code == code, finished.stderr
    assert "Traceback" not in finished.stderr
