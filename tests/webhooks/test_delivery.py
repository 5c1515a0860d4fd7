"""Deliveries: real receivers, a real server and a real worker."""

import gzip
import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from penstock import Job, JobStatus, RedisStreamsQueue, Worker
from penstock.core.errors import ConfigurationError
from penstock.core.settings import ServiceSettings
from penstock.webhooks.delivery import Courier, backoff_seconds, delivery_handler
from penstock.webhooks.signing import secret_of
from tests.harness.receiver import (
    FLOOD_BYTES,
    Answer,
    Receiver,
    answer,
    drip,
    flood,
    raw,
    silence,
)
from tests.webhooks.conftest import MakeReceiver
from tests.webhooks.support import ACTOR, SECRET_KEY, NameTable, delivery, facts_of, settings_with
from tests.worker.support import ended, has_status, running

SECRET = secret_of(SECRET_KEY, ACTOR)


async def deliver_all(
    queue: RedisStreamsQueue,
    jobs: Sequence[Job],
    settings: ServiceSettings | None = None,
    source: AbstractResolver | None = None,
) -> list[Job]:
    """The jobs once a worker has brought them to their ends."""
    handler = delivery_handler(settings or settings_with(), source=source)
    ids = await queue.enqueue_many(jobs)
    async with running(Worker(queue, {"webhook": handler})):
        done = await ended(queue, ids)
    return [done[job_id] for job_id in ids]


async def deliver(
    queue: RedisStreamsQueue,
    job: Job,
    settings: ServiceSettings | None = None,
    source: AbstractResolver | None = None,
) -> Job:
    """The job once a worker has brought it to its end."""
    return (await deliver_all(queue, [job], settings, source))[0]


async def first_delays(queue: RedisStreamsQueue, jobs: Sequence[Job], settings: ServiceSettings) -> list[int]:
    """The waits in ms after the first attempts."""
    ids = await queue.enqueue_many(jobs)
    async with running(Worker(queue, {"webhook": delivery_handler(settings)})):
        for job_id in ids:
            await has_status(queue, job_id, JobStatus.RETRYING)
    delays = {fact.job_id: int(fact.fields["delay_ms"]) for fact in await facts_of(queue, "retrying")}
    return [delays[job_id] for job_id in ids]


async def test_a_webhook_arrives_signed_and_is_recorded(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    job = await deliver(deliveries, delivery(receiver.url("/hook?token=t-1")))
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook?token=t-1")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == job.id == "wh:run-1:run.completed"
    assert request.verified(SECRET) == job.payload["body"]
    assert (job.status, job.attempts, job.result["status"]) == (JobStatus.COMPLETED, 1, 200)
    assert set(job.result) == {"status", "duration_ms"}
    assert isinstance(job.result["duration_ms"], int)


def by_status(receiver: Receiver, statuses: Sequence[int], reply: Callable[[int], Answer]) -> list[Job]:
    """A delivery for each status, to which the receiver answers with `reply(status)` once."""
    receiver.scripts = {f"/{status}": [reply(status)] for status in statuses}
    return [delivery(receiver.url(f"/{status}"), f"run-{status}") for status in statuses]


async def test_every_2xx_counts_as_delivered(receiver: Receiver, deliveries: RedisStreamsQueue) -> None:
    statuses = [200, 201, 202, 204, 299]
    jobs = await deliver_all(deliveries, by_status(receiver, statuses, answer))
    assert [(job.attempts, job.result["status"]) for job in jobs] == [(1, status) for status in statuses]


async def test_what_may_pass_is_tried_again(receiver: Receiver, deliveries: RedisStreamsQueue) -> None:
    statuses = [408, 409, 425, 429, 500, 502, 503, 504, 599]
    orders = by_status(receiver, statuses, lambda status: answer(status, b"not now"))
    jobs = await deliver_all(deliveries, orders)
    assert {(job.status, job.attempts) for job in jobs} == {(JobStatus.COMPLETED, 2)}
    for job, status in zip(jobs, statuses, strict=True):
        first, second = (request for request in receiver.requests if request.path == f"/{status}")
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == job.id
        assert first.body == second.body
        assert first.verified(SECRET) == second.verified(SECRET)
    errors = {fact.job_id: fact.fields["error"].decode() for fact in await facts_of(deliveries, "retrying")}
    assert all(
        f"answered {status}: not now" in errors[f"wh:run-{status}:run.completed"] for status in statuses
    )


async def test_a_refusal_is_not_tried_again(receiver: Receiver, deliveries: RedisStreamsQueue) -> None:
    statuses = [400, 401, 403, 404, 405, 410, 413, 422, 499]
    orders = by_status(receiver, statuses, lambda status: answer(status, b"go away", {"Retry-After": "0"}))
    jobs = await deliver_all(deliveries, orders)
    assert {(job.status, job.attempts) for job in jobs} == {(JobStatus.FAILED, 1)}
    assert len(receiver.requests) == len(statuses)
    for job, status in zip(jobs, statuses, strict=True):
        assert f"answered {status}: go away" in (job.error or "")


async def test_redirects_are_not_followed(make_receiver: MakeReceiver, deliveries: RedisStreamsQueue) -> None:
    receiver, elsewhere = await make_receiver(), await make_receiver()
    location = {"Location": elsewhere.url()}
    orders = by_status(receiver, [301, 302, 303, 307, 308], lambda status: answer(status, headers=location))
    jobs = await deliver_all(deliveries, orders)
    assert {(job.status, job.attempts) for job in jobs} == {(JobStatus.FAILED, 1)}
    assert elsewhere.connections == 0
    assert all("redirects are not followed" in (job.error or "") for job in jobs)


async def test_each_attempt_is_signed_at_its_own_time(
    receiver: Receiver, deliveries: RedisStreamsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [datetime.now(UTC) - timedelta(seconds=100 - 10 * attempt) for attempt in range(3)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return times.pop(0).astimezone(tz)

    monkeypatch.setattr("penstock.webhooks.delivery.datetime", Clock)
    receiver.script = [answer(500), answer(500)]
    await deliver(deliveries, delivery(receiver.url()))
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert [later - stamps[0] for later in stamps] == [0, 10, 20]
    assert len({request.headers["webhook-signature"] for request in receiver.requests}) == 3
    assert all(request.verified(SECRET) for request in receiver.requests)


async def test_after_five_attempts_it_has_failed(receiver: Receiver, deliveries: RedisStreamsQueue) -> None:
    receiver.script = [answer(503)] * 9
    job = await deliver(deliveries, delivery(receiver.url()))
    assert (job.status, job.attempts, len(receiver.requests)) == (JobStatus.FAILED, 5, 5)
    assert "answered 503" in (job.error or "")


async def test_a_receiver_that_is_down_is_found_when_it_is_back(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    await receiver.stop()
    job = delivery(receiver.url())
    await deliveries.enqueue(job)
    handler = delivery_handler(settings_with(webhook_backoff_base=0.9))
    async with running(Worker(deliveries, {"webhook": handler})):
        await has_status(deliveries, job.id, JobStatus.RETRYING)
        await receiver.start()
        done = (await ended(deliveries, [job.id]))[job.id]
    assert done.status is JobStatus.COMPLETED
    assert len(receiver.requests) == 1
    (error, *_) = [fact.fields["error"].decode() for fact in await facts_of(deliveries, "retrying")]
    assert f"http://127.0.0.1:{receiver.port} could not be reached" in error
    assert "/hook" not in error


async def test_an_answer_that_is_none_is_tried_again(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    bad = {
        "silence": silence(),
        "slow-headers": drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        "slow-status-line": drip(b"HTTP/1.1 200 ", b"O"),
        "closed": raw(b""),
        "broken-off": raw(b"HTTP/1.1 2"),
        "not-http": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        "flood-instead": flood(b""),
        "endless-header": flood(b"HTTP/1.1 200 OK\r\nX-A: "),
    }
    receiver.scripts = {f"/{name}": [reply] for name, reply in bad.items()}
    orders = [delivery(receiver.url(f"/{name}"), name) for name in bad]
    jobs = await deliver_all(deliveries, orders, settings_with(webhook_timeout_seconds=1))
    assert {job.id: (job.status, job.attempts) for job in jobs} == {
        order.id: (JobStatus.COMPLETED, 2) for order in orders
    }
    assert receiver.flooded_bytes < FLOOD_BYTES / 4


async def test_of_a_huge_answer_only_the_beginning_is_read(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    def huge(status: int) -> Answer:
        return flood(f"HTTP/1.1 {status} X\r\nContent-Length: {FLOOD_BYTES}\r\n\r\n".encode())

    jobs = await deliver_all(deliveries, by_status(receiver, [200, 500], huge))
    assert [(job.status, job.attempts) for job in jobs] == [
        (JobStatus.COMPLETED, 1),
        (JobStatus.COMPLETED, 2),
    ]
    assert receiver.flooded_bytes < FLOOD_BYTES / 4
    (fact,) = await facts_of(deliveries, "retrying")
    assert 1024 <= len(fact.fields["error"]) < 1200


async def test_a_packed_answer_is_not_unpacked(receiver: Receiver, deliveries: RedisStreamsQueue) -> None:
    receiver.script = [answer(400, gzip.compress(b"unpacked " * 100), {"Content-Encoding": "gzip"})]
    job = await deliver(deliveries, delivery(receiver.url()))
    assert receiver.requests[0].headers["accept-encoding"] == "identity"
    assert (job.error or "").startswith("DeliveryRejectedError")
    assert (job.error or "").isprintable()
    assert "unpacked" not in (job.error or "")


async def test_a_slow_or_broken_body_does_not_undo_the_status(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    receiver.scripts = {"/slow": [drip(head, b"x")], "/broken": [raw(head + b"half")]}
    orders = [delivery(receiver.url(path), f"run{at}") for at, path in enumerate(receiver.scripts)]
    jobs = await deliver_all(deliveries, orders)
    assert {(job.status, job.attempts) for job in jobs} == {(JobStatus.COMPLETED, 1)}


async def test_the_wait_a_receiver_asks_for_is_kept(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    asked = {408: "600", 429: at, 500: "soon", 503: "-1"}
    orders = by_status(
        receiver, list(asked), lambda status: answer(status, headers={"Retry-After": asked[status]})
    )
    delays = await first_delays(deliveries, orders, settings_with(webhook_backoff_base=50))
    assert delays[0] == 600_000
    assert 540_000 <= delays[1] <= 600_000
    assert all(40_000 <= delay <= 60_000 for delay in delays[2:])


async def test_without_a_wish_the_wait_grows_with_the_attempts(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    orders = by_status(receiver, [500], answer)
    (delay_ms,) = await first_delays(deliveries, orders, settings_with(webhook_backoff_base=30))
    assert 24_000 <= delay_ms <= 36_000
    for attempt in (1, 2, 3, 4):
        assert 0.8 * 2**attempt <= backoff_seconds(2, attempt) <= 1.2 * 2**attempt
    assert backoff_seconds(60, 10) <= 1.2 * 3600


async def test_a_refused_address_fails_at_once(receiver: Receiver, deliveries: RedisStreamsQueue) -> None:
    hosts = [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "rebind.example",
    ]
    orders = [delivery(receiver.url(host=host), f"run-{at}") for at, host in enumerate(hosts)]
    inwards = NameTable(["127.0.0.1"])
    jobs = await deliver_all(deliveries, orders, settings_with(webhooks_allow_loopback=False), inwards)
    assert {(job.status, job.attempts) for job in jobs} == {(JobStatus.FAILED, 1)}
    assert receiver.connections == 0
    assert all((job.error or "").startswith("EgressRefusedError") for job in jobs)


async def test_proxies_of_the_environment_are_ignored(
    make_receiver: MakeReceiver, deliveries: RedisStreamsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver, proxy = await make_receiver(), await make_receiver()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url(""))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    await deliver(deliveries, delivery(receiver.url()))
    assert (len(receiver.requests), proxy.connections) == (1, 0)


async def test_cookies_of_one_receiver_are_not_carried_on(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    receiver.script = [answer(500, headers={"Set-Cookie": "a=b"})]
    await deliver(deliveries, delivery(receiver.url()))
    assert "cookie" not in receiver.requests[1].headers


async def test_text_of_all_scripts_and_large_results_arrive_whole(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    body = {
        "event": "run.completed",
        "result": {"answer": "Grüße, 世界 🎉 \u2028\x00", "text": "é" * 400_000},
    }
    await deliver(deliveries, delivery(receiver.url("/haken/ü?q=世"), body=body))
    assert receiver.requests[0].verified(SECRET) == body


async def test_secrets_show_nowhere(
    receiver: Receiver, deliveries: RedisStreamsQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.script = [answer(500), raw(b"?"), answer(400)]
    job = await deliver(deliveries, delivery(receiver.url("/hook?token=path-token")))
    letters: Any = await deliveries.client.xrange(deliveries.engine.keys.dlq)
    ((_, letter),) = letters
    facts = [fact for event in ("retrying", "failed") for fact in await facts_of(deliveries, event)]
    shown = " ".join([caplog.text, job.error or "", json.dumps(job.result), str(facts)])
    shown += str({name: value for name, value in letter.items() if name != b"snapshot"})
    assert len(facts) == 3
    for secret in (SECRET_KEY, SECRET, SECRET.removeprefix("whsec_"), "path-token", "v1,"):
        assert secret not in shown


def test_a_worker_without_a_key_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="PENSTOCK_SECRET_KEY"):
        delivery_handler(settings_with(secret_key=None))


async def test_a_payload_that_is_no_delivery_fails_at_once(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    changes: list[dict[str, Any]] = [
        {"url": 7},
        {"url": receiver.url().replace("http:", "ftp:")},
        {"url": receiver.url(host="user:password@127.0.0.1")},
        {"actor": None},
        {"actor": None, "secret": ""},
    ]
    orders = [delivery(receiver.url(), f"run-{at}") for at in range(len(changes))]
    for order, change in zip(orders, changes, strict=True):
        order.payload |= change
    jobs = await deliver_all(deliveries, orders)
    assert {(job.status, job.attempts) for job in jobs} == {(JobStatus.FAILED, 1)}
    assert receiver.connections == 0
    errors = [(job.error or "").partition(":")[0] for job in jobs]
    assert errors == ["InvalidJobError", *["EgressRefusedError"] * 2, *["InvalidJobError"] * 2]


async def test_a_stopping_worker_gives_the_delivery_back(
    receiver: Receiver, deliveries: RedisStreamsQueue
) -> None:
    receiver.script = [silence()]
    job = delivery(receiver.url())
    await deliveries.enqueue(job)
    async with running(Worker(deliveries, {"webhook": Courier(settings_with()).deliver})):
        await receiver.until(1)
    given_back = await deliveries.get_status(job.id)
    assert given_back is not None
    assert (given_back.status, given_back.attempts) == (JobStatus.PENDING, 0)
