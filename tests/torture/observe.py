"""Everything a queue holds on the server, read at once, and its comparison with the model."""

import contextlib
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from penstock.store.keys import QueueKeys
from tests.torture.model import Queue, place
from tests.torture.model_parts import ENDED, LANES, Message, ModelJob

#: Keys that may stand while a queue is used, whatever its jobs do.
STANDING = {
    "stream", "stream:high", "stream:low", "stream:suspects", "leases", "scheduled", "counts", "dlq",
    "events", "credits", "bell", "pulse", "amnesty", "workers",
    "index:completed", "index:failed", "index:cancelled",
}  # fmt: skip
MOST_BELL_TOKENS = 64


@dataclass
class Snapshot:
    """What the server holds."""

    lanes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    read_to: dict[str, tuple[int, int]] = field(default_factory=dict)
    delivered: dict[str, set[str]] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    scheduled: dict[str, int] = field(default_factory=dict)
    index: dict[str, dict[str, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    letters: list[str] = field(default_factory=list)
    events: list[tuple[str, str, int]] = field(default_factory=list)
    workers: dict[str, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    bell: int = 0
    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    kept_for: dict[str, int] = field(default_factory=dict)


async def read(client: Redis, keys: QueueKeys, group: str) -> Snapshot:
    """Read the whole queue. Nothing else may write meanwhile."""
    seen = Snapshot()
    streams = dict(
        zip(LANES, (keys.stream, keys.stream_high, keys.stream_low, keys.stream_suspects), strict=True)
    )
    pipe: Any = client.pipeline(transaction=False)
    for home in streams.values():
        pipe.xrange(home)
    for name in (keys.leases, keys.scheduled, *(keys.index + status for status in ENDED)):
        pipe.zrange(name, 0, -1, withscores=True)
    for name in (keys.counts, keys.workers):
        pipe.hgetall(name)
    for name in (keys.dlq, keys.events):
        pipe.xrange(name)
    pipe.llen(keys.bell)
    pipe.keys("*")
    answers = iter(await pipe.execute())
    for lane in LANES:
        seen.lanes[lane] = [(mid.decode(), fields[b"id"].decode()) for mid, fields in next(answers)]
    seen.leases, seen.scheduled, *indexes = (_scores(next(answers)) for _ in range(2 + len(ENDED)))
    seen.index = dict(zip(ENDED, indexes, strict=True))
    seen.counts = {status: int(count) for status, count in _texts(next(answers)).items() if int(count)}
    seen.workers = {worker: entry.split()[0] for worker, entry in _texts(next(answers)).items()}
    seen.letters = [fields[b"job"].decode() for _, fields in next(answers)]
    seen.events = [
        (fields[b"event"].decode(), fields[b"job"].decode(), int(fields[b"attempt"]))
        for _, fields in next(answers)
    ]
    seen.bell = next(answers)
    seen.keys = {key.decode().removeprefix(f"{keys.base}:") for key in next(answers)}
    for lane, home in streams.items():
        await _read_group(client, seen, lane, home, group)
    await _read_jobs(client, keys, seen)
    return seen


async def _read_group(client: Redis, seen: Snapshot, lane: str, home: str, group: str) -> None:
    with contextlib.suppress(ResponseError):
        for facts in await cast("Any", client.xinfo_groups(home)):
            if facts["name"] == group.encode():
                seen.read_to[lane] = place(facts["last-delivered-id"].decode())
                pending = await cast("Any", client.xpending_range(home, group, "-", "+", 1000))
                seen.delivered[lane] = {entry["message_id"].decode() for entry in pending}


async def _read_jobs(client: Redis, keys: QueueKeys, seen: Snapshot) -> None:
    ids = sorted(key.removeprefix("job:") for key in seen.keys if key.startswith("job:"))
    pipe: Any = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hgetall(keys.job + job_id)
        pipe.hgetall(keys.steps + job_id)
        pipe.pttl(keys.job + job_id)
    answers = iter(await pipe.execute(raise_on_error=False) if ids else [])
    for job_id in ids:
        content, steps, kept_for = next(answers), next(answers), next(answers)
        seen.hashes[job_id] = {} if isinstance(content, Exception) else _texts(content)
        seen.steps[job_id] = _texts(steps)
        seen.kept_for[job_id] = kept_for


def compare(queue: Queue, seen: Snapshot) -> None:
    """Assert that every job is where its status says, that the counts are exact, and nothing is left over."""
    for lane in LANES:
        _learn_message_ids(queue.lanes[lane], seen.lanes[lane], lane)
        mirrored = {message.id for message in queue.lanes[lane] if message.delivered}
        missing = mirrored - seen.delivered.get(lane, set())
        assert not missing, f"{lane}: {missing} were delivered and are not pending in the group"
    assert seen.leases == queue.leases, f"leases: {seen.leases}, expected {queue.leases}"
    assert seen.scheduled == queue.scheduled, f"scheduled: {seen.scheduled}, expected {queue.scheduled}"
    assert seen.index == queue.index, f"index: {seen.index}, expected {queue.index}"
    assert seen.counts == {status: count for status, count in queue.counts.items() if count}, "counts"
    assert seen.letters == queue.letters, "dead letters"
    queue.adopt_order(seen.events)
    assert seen.events == [event[1:] for event in queue.events], "events"
    assert seen.workers == {worker: entry[0] for worker, entry in queue.registry.items()}, "workers"
    assert seen.bell <= MOST_BELL_TOKENS
    assert seen.keys <= _allowed_keys(queue), "keys that nobody owns"
    assert seen.hashes.keys() == queue.jobs.keys(), "jobs"
    for job_id, job in queue.jobs.items():
        if job.damage is None:
            _compare_job(job, seen.hashes[job_id], seen.steps[job_id], seen.kept_for[job_id])
    _assert_exact_counts(queue)


def _learn_message_ids(messages: list[Message], real: list[tuple[str, str]], lane: str) -> None:
    meant, found = [message.job for message in messages], [job for _, job in real]
    assert meant == found, f"lane {lane} holds {found}, expected {meant}"
    for message, (message_id, _) in zip(messages, real, strict=True):
        message.id = message.id or message_id
        assert message.id == message_id, f"lane {lane}: {message.job} has moved"


def _allowed_keys(queue: Queue) -> set[str]:
    allowed = set(STANDING) | {f"claim:{consumer}" for consumer in queue.claims}
    for job in queue.jobs.values():
        allowed.add(f"job:{job.id}")
        if job.apart:
            allowed.add(f"payload:{job.id}")
        if job.result_apart:
            allowed.add(f"result:{job.id}")
        if job.steps:
            allowed.add(f"steps:{job.id}")
    return allowed


def _compare_job(job: ModelJob, content: dict[str, str], steps: dict[str, str], kept_for: int) -> None:
    said = {
        "status": content.get("status"),
        "attempt": int(content.get("attempt", 0)),
        "crashes": int(content.get("crashes", 0)),
        "releases": int(content.get("releases", 0)),
        "lease": content.get("lease"),
    }
    meant = {
        "status": job.status,
        "attempt": job.attempt,
        "crashes": job.crashes,
        "releases": job.releases,
        "lease": job.lease,
    }
    assert said == meant, f"job {job.id}"
    assert steps == {name: body.decode() for name, body in job.steps.items()}, f"steps of {job.id}"
    assert (kept_for > 0) == (job.ended and not job.recorded), f"retention of {job.id}: {kept_for}"
    if job.quarantined:
        return
    assert int(content.get("idle_releases", 0)) == job.idle_releases, f"releases of {job.id}"
    assert (content.get("cancel") == "1") == job.cancel, f"cancellation of {job.id}"
    if not job.ended and job.message is not None and job.status in ("pending", "processing"):
        assert content["message_id"] == job.message.id, f"message of {job.id}"
        assert content.get("lane", "normal") == job.lane, f"lane of {job.id}"


def _assert_exact_counts(queue: Queue) -> None:
    """The model's own books: a mistake in them would hide one in the store."""
    if queue.drifted:
        return
    actual: dict[str, int] = {}
    for job in queue.jobs.values():
        actual[job.status] = actual.get(job.status, 0) + 1
    assert actual == {status: count for status, count in queue.counts.items() if count}


def _scores(answer: list[tuple[bytes, float]]) -> dict[str, int]:
    return {member.decode(): int(score) for member, score in answer}


def _texts(answer: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in answer.items()}
