"""Single enqueues made at the same time: sent together, answered apart."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import trace

from penstock import Job, QueueUnavailableError
from penstock.core.errors import DuplicateJobError, InvalidJobError, PenstockError
from penstock.store.coalescer import Coalescer
from tests.conftest import MakeProxy, MakeQueue
from tests.harness.servers import Server
from tests.store.scene import Scene
from tests.worker.support import calls


async def test_a_thousand_at_once_travel_in_few_round_trips(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server
) -> None:
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    await queue.enqueue(Job(id="first"))
    before = proxy.round_trips
    ids = await asyncio.gather(*(queue.enqueue(Job(id=f"job{n}")) for n in range(1000)))
    assert ids == [f"job{n}" for n in range(1000)]
    # One alone, then four of 256 at most, each of them a batch and a pipeline.
    assert proxy.round_trips - before <= 1 + 2 * 4
    assert (await queue.get_queue_stats())["pending"] == 1001


async def test_a_lone_enqueue_is_one_round_trip(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server
) -> None:
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    await queue.enqueue(Job())
    before = proxy.round_trips
    for _ in range(5):
        await queue.enqueue(Job())
    assert proxy.round_trips - before == 5


async def test_calls_keep_their_order_whatever_their_options(scene: Scene) -> None:
    def options(n: int) -> dict[str, Any]:
        return {"delay_seconds": 60} if n % 5 == 4 else {"priority": (0, 0, 1)[n % 3]}

    await asyncio.gather(*(scene.queue.enqueue(Job(id=f"j{n}"), **options(n)) for n in range(200)))
    for lane, wanted in (("stream", (0, 1)), ("stream_high", (2,))):
        entries = await scene.client.xrange(getattr(scene.keys, lane))
        expected = [f"j{n}" for n in range(200) if n % 5 != 4 and n % 3 in wanted]
        assert [fields["id"] for _, fields in entries] == expected
    assert await scene.client.zcard(scene.keys.scheduled) == 40
    await scene.assert_balanced()


async def test_each_caller_gets_its_own_answer_or_error(scene: Scene) -> None:
    await scene.queue.enqueue(Job(id="holder", unique_key="k"))
    answers = await asyncio.gather(
        scene.queue.enqueue(Job(id="a")),
        scene.queue.enqueue(Job(id="b", unique_key="k")),
        scene.queue.enqueue(Job(id="c", unique_key="k", unique_policy="reject")),
        scene.queue.enqueue(Job(id="d", max_attempts=0)),
        scene.queue.enqueue(Job(id="e", parents=["nobody"])),
        scene.queue.enqueue(Job(id="f")),
        return_exceptions=True,
    )
    assert (answers[0], answers[1], answers[5]) == ("a", "holder", "f")
    assert isinstance(answers[2], DuplicateJobError)
    assert answers[2].holder_id == "holder"
    assert isinstance(answers[3], InvalidJobError)
    assert isinstance(answers[4], InvalidJobError)
    assert "nobody" in str(answers[4])
    assert await scene.status("c") is None


async def test_queues_may_differ(make_queue: MakeQueue) -> None:
    queue = await make_queue("one")
    await asyncio.gather(
        *(queue.enqueue(Job(id=f"{name}{n}"), queue_name=name) for n in range(20) for name in ("one", "two"))
    )
    for name in ("one", "two"):
        assert (await queue.on_queue(name).get_queue_stats())["pending"] == 20


async def test_a_cancelled_caller_harms_no_other(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server
) -> None:
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    await queue.enqueue(Job())
    held = proxy.hold(calls("enqueue"), times=1)
    callers = [asyncio.create_task(queue.enqueue(Job(id=f"c{n}"))) for n in range(10)]
    await held.hit()
    callers[0].cancel()
    callers[5].cancel()
    held.release()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, str)] == [
        f"c{n}" for n in range(10) if n not in (0, 5)
    ]
    assert await queue.get_status("c5") is None, "it was withdrawn before it was sent"
    assert await queue.enqueue(Job(id="after")) == "after"


async def test_a_lost_reply_is_told_to_each_and_repeating_is_safe(
    make_queue: MakeQueue, make_proxy: MakeProxy, valkey: Server
) -> None:
    proxy = await make_proxy(valkey)
    queue = await make_queue(url=proxy.url)
    await queue.enqueue(Job(id="first"))
    proxy.cut_after(calls("enqueue"), times=2)
    jobs = [Job(id=f"l{n}") for n in range(20)]
    answers = await asyncio.gather(*(queue.enqueue(job) for job in jobs), return_exceptions=True)
    assert all(isinstance(answer, QueueUnavailableError) for answer in answers)
    assert len({id(answer) for answer in answers}) == 20, "an error of its own for each"
    again = await asyncio.gather(*(queue.enqueue(job) for job in jobs))
    assert again == [job.id for job in jobs]
    assert (await queue.get_queue_stats())["pending"] == 21


async def test_each_call_keeps_its_trace_context(scene: Scene) -> None:
    async def within(number: int) -> None:
        context = trace.SpanContext(number, number, is_remote=False, trace_flags=trace.TraceFlags(1))
        with trace.use_span(trace.NonRecordingSpan(context)):
            await scene.queue.enqueue(Job(id=f"t{number}"))

    await asyncio.gather(*(within(number) for number in range(1, 20)))
    for number in range(1, 20):
        job = await scene.queue.get_status(f"t{number}")
        assert job is not None
        assert int(job.trace["traceparent"].split("-")[1], 16) == number


async def test_closing_waits_for_what_is_on_its_way(make_queue: MakeQueue) -> None:
    queue, other = await make_queue(), await make_queue()
    callers = [asyncio.create_task(queue.enqueue(Job(id=f"w{n}"))) for n in range(50)]
    await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
    await queue.close()
    assert await asyncio.gather(*callers) == [f"w{n}" for n in range(50)]
    assert (await other.get_queue_stats())["pending"] == 50


async def test_an_error_stays_with_the_items_it_belongs_to() -> None:
    gate = asyncio.Event()
    sent: list[list[int]] = []

    async def send(items: Sequence[int]) -> list[int | PenstockError]:
        sent.append(list(items))
        await gate.wait()
        return [InvalidJobError(str(item)) if item % 2 else item * 10 for item in items]

    coalescer: Coalescer[int, int] = Coalescer(send, most=3)
    callers = [asyncio.create_task(coalescer.ask(n)) for n in range(6)]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    await coalescer.close()
    assert sent == [[0], [1, 2, 3], [4, 5]]
    assert answers[::2] == [0, 20, 40]
    assert all(isinstance(answer, InvalidJobError) for answer in answers[1::2])
    with pytest.raises(InvalidJobError, match="7"):
        await coalescer.ask(7)
