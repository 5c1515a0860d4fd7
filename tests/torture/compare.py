"""What a queue holds on the server against what the model says it holds."""

from typing import Any

from tests.torture.model import Queue
from tests.torture.model_parts import INDEXED, Message, ModelJob
from tests.torture.observe import LANE_KEYS, OF_A_JOB, Snapshot

#: Keys that may stand while a queue is used, whatever its jobs do.
STANDING = {
    *LANE_KEYS.values(), *(f"index:{status}" for status in INDEXED),
    "leases", "scheduled", "counts", "dlq", "events", "credits", "bell", "pulse", "amnesty", "workers",
    "crossings", "cron", "cron_due", "turns:high", "turns:normal", "turns:low", "timers", "fanout", "paused",
    "limits", "pauses",
}  # fmt: skip
MOST_BELL_TOKENS = 64


def compare(queue: Queue, seen: Snapshot) -> None:
    """Assert that every job is where its status says, that the counts are exact, and nothing is left over."""
    _compare_lanes(queue, seen)
    for name in ("leases", "scheduled", "timers"):
        _same(name, seen.scores(name), getattr(queue, name))
    _same("index", seen.index, queue.index)
    counts = {status: int(count) for status, count in seen.hash("counts").items()}
    _same("counts", _without_zeros(counts), _without_zeros(queue.counts))
    _compare_letters(queue, [fields["job"] for _, fields in seen.stream("dlq")])
    facts = [(fact["event"], fact["job"], int(fact["attempt"])) for _, fact in seen.stream("events")]
    queue.adopt_order(facts)
    _same("events", facts, [event[1:] for event in queue.events])
    workers = {worker: entry.split()[0] for worker, entry in seen.hash("workers").items()}
    _same("workers", workers, {worker: entry[0] for worker, entry in queue.registry.items()})
    assert seen.bell <= MOST_BELL_TOKENS
    _compare_keys(queue, seen)
    _compare_kin(queue, seen)
    _compare_feeds(queue, seen)
    _compare_cron(queue, seen)
    stray = seen.keys - _allowed_keys(queue)
    assert not stray, f"keys that nobody owns: {stray}"
    _same("jobs", set(seen.hashes), set(queue.jobs))
    for job in queue.jobs.values():
        if job.damage is None:
            _compare_job(queue, job, seen)
    _assert_exact_counts(queue)
    queue.unordered = False


def _same(what: str, found: Any, meant: Any) -> None:
    assert found == meant, f"{what}: found {found}, meant {meant}"


def _without_zeros(counts: dict[str, int]) -> dict[str, int]:
    return {status: count for status, count in counts.items() if count}


def _compare_lanes(queue: Queue, seen: Snapshot) -> None:
    for lane, entries in seen.lanes.items():
        messages = queue.lanes[lane]
        if queue.unordered:
            _adopt_messages(messages, [job_id for _, job_id in entries])
        _same(f"lane {lane}", [job_id for _, job_id in entries], [message.job for message in messages])
        for message, (message_id, job_id) in zip(messages, entries, strict=True):
            message.id = message.id or message_id
            assert message.id == message_id, f"lane {lane}: {job_id} has moved"
        mirrored = {message.id for message in messages if message.delivered}
        missing = mirrored - seen.delivered.get(lane, set())
        assert not missing, f"{lane}: {missing} were delivered and are not pending in the group"
    assert queue.made_lanes >= {lane for lane, key in LANE_KEYS.items() if key in seen.keys} - {"normal"}


def _adopt_messages(messages: list[Message], found: list[str]) -> None:
    """New entries of one call may come in any order where nobody could tell it."""
    known = [message for message in messages if message.id]
    fresh = {message.job: message for message in messages if not message.id}
    tail = found[len(known) :]
    if sorted(tail) == sorted(fresh):
        messages[:] = known + [fresh[job_id] for job_id in tail]


def _adopt(meant: list[str], found: list[str]) -> None:
    if sorted(meant) == sorted(found):
        meant[:] = found


def _compare_letters(queue: Queue, found: list[str]) -> None:
    if queue.unordered:
        _adopt(queue.letters, found)
    _same("dead letters", found, queue.letters)


def _compare_keys(queue: Queue, seen: Snapshot) -> None:
    """Lines, turns, places, limits and rates."""
    lines = {_pair(name): list(line) for name, line in seen.of_kind("line").items()}
    turns = seen.of_kind("turns")
    asleep = {_pair(name): keys for name, keys in seen.of_kind("asleep").items()}
    if queue.unordered:
        for place, line in lines.items():
            _adopt(queue.lines.get(place, []), line)
        for lane, keys in turns.items():
            if keys.keys() == queue.turns.get(lane, {}).keys():
                queue.turns[lane] = keys
    _same("lines", lines, queue.lines)
    _same("turns", turns, queue.turns)
    _same("asleep", asleep, queue.asleep)
    _same("holders", seen.of_kind("holders"), queue.holders)
    credits_left = {name: int(count) for name, count in seen.hash("credits").items()}
    _same("credits", {name: credits_left.get(name, 0) for name in queue.credits}, queue.credits)
    _same("turns given", credits_left.get("turn", 0), queue.turns_given)
    rates = queue.rates
    limits = {key: tuple(int(part) for part in text.split()) for key, text in seen.hash("limits").items()}
    meant = {key: (its.places, its.jobs, its.units, its.window) for key, its in rates.limits.items()}
    _same("limits", limits, meant)
    _same("pauses", seen.scores("pauses"), rates.pauses)
    starts = {key: [int(at) for at in log] for key, log in seen.of_kind("starts").items()}
    _same("starts", starts, {key: log for key, log in rates.starts.items() if log})
    booked = {key: list(log) for key, log in seen.of_kind("booked").items()}
    logs = {
        key: [f"{entry.at} {entry.units} {entry.job}" for entry in log]
        for key, log in rates.booked.items()
        if log
    }
    _same("booked", booked, logs)
    spent = {key: int(units) for key, units in seen.of_kind("spent").items()}
    sums = {key: sum(entry.units for entry in log) for key, log in rates.booked.items()}
    _same("spent", _without_zeros(spent), _without_zeros(sums))
    _same("unique", seen.of_kind("unique"), {key: f"{job} {at}" for key, (job, at) in queue.unique.items()})
    _same("paused", "paused" in seen.keys, queue.paused)


def _pair(name: str) -> tuple[str, str]:
    lane, _, key = name.partition(":")
    return lane, key


def _compare_kin(queue: Queue, seen: Snapshot) -> None:
    """Parents and children, and the endings on their way."""
    _same("parents", seen.of_kind("parents"), queue.parents)
    _same("children", seen.of_kind("children"), queue.children)
    fanout = seen.content.get("fanout", [])
    # A child that is visited after its parent was set aside adds it once more; told twice, it listens once.
    if queue.unordered and set(fanout) == set(queue.fanout):
        queue.fanout[:] = fanout
    _same("fanout", fanout, queue.fanout)
    crossings = [
        (fields["child"], fields["parent"], fields["status"]) for _, fields in seen.stream("crossings")
    ]
    _same("crossings", crossings, [ending[:3] for ending in queue.crossings])
    inputs = seen.of_kind("inputs")
    _same("inputs", set(inputs), set(queue.inputs))
    for child, told in queue.inputs.items():
        _same(f"inputs of {child}", set(inputs[child]), set(told))
        for parent, (status, body) in told.items():
            found = inputs[child][parent]
            assert _begins_so(found, f"{status} {body.decode()}"), f"{child} heard {found!r} of {parent}"


def _begins_so(found: str, meant: str) -> bool:
    """Texts that the store makes are told by how they begin."""
    return found == meant or (meant.strip() == meant != "" and found.startswith(meant))


def _compare_feeds(queue: Queue, seen: Snapshot) -> None:
    """Signals, live feeds and usage."""
    signals = {
        job_id: {name: body for name, body in fields.items() if not name.endswith("#")}
        for job_id, fields in seen.of_kind("signals").items()
    }
    given = {
        job_id: {
            f"{name}#{place}": body.decode()
            for name, bodies in names.items()
            for place, body in enumerate(bodies)
        }
        for job_id, names in queue.signals.items()
    }
    _same("signals", signals, given)
    feeds = {
        job_id: [(entry["kind"], entry["body"]) for _, entry in entries]
        for job_id, entries in seen.of_kind("live").items()
    }
    meant = {job_id: [(kind, body.decode()) for kind, body in feed] for job_id, feed in queue.live.items()}
    _same("live feeds", feeds, meant)
    usage = {
        int(hour): {field: float(amount) for field, amount in sums.items()}
        for hour, sums in seen.of_kind("usage").items()
    }
    _same("usage", usage, queue.usage)


def _compare_cron(queue: Queue, seen: Snapshot) -> None:
    """Schedules: their texts, last slots, pauses, and slots to come."""
    stored = seen.hash("cron")
    found = {
        name: (body, int(stored.get(f"{name}#last", 0)), f"{name}#paused" in stored)
        for name, body in stored.items()
        if "#" not in name
    }
    _same(
        "schedules", found, {name: (kept.body, kept.last, kept.paused) for name, kept in queue.cron.items()}
    )
    stray = {field for field in stored if field.partition("#")[0] not in queue.cron}
    assert not stray, f"fields of schedules that are gone: {stray}"
    _same("slots to come", seen.scores("cron_due"), queue.cron_due)


def _allowed_keys(queue: Queue) -> set[str]:
    allowed = set(STANDING) | {f"claim:{consumer}" for consumer in queue.claims}
    for kind, owners in (
        ("parents", queue.parents), ("children", queue.children), ("inputs", queue.inputs),
        ("signals", queue.signals), ("live", queue.live), ("unique", queue.unique), ("usage", queue.usage),
        ("holders", queue.holders), ("starts", queue.rates.starts), ("booked", queue.rates.booked),
        ("spent", queue.rates.booked), ("job", queue.jobs),
    ):  # fmt: skip
        allowed |= {f"{kind}:{owner}" for owner in owners}
    allowed |= {f"line:{lane}:{key}" for lane, key in queue.lines}
    allowed |= {f"asleep:{lane}:{rate}" for lane, rate in queue.asleep}
    for job in queue.jobs.values():
        allowed |= {f"payload:{job.id}"} if job.apart else set()
        allowed |= {f"result:{job.id}"} if job.result_apart else set()
        allowed |= {f"steps:{job.id}"} if job.steps else set()
    return allowed


def _compare_job(queue: Queue, job: ModelJob, seen: Snapshot) -> None:
    content = seen.hash(f"job:{job.id}")
    numbers = ("crashes", "releases") if job.is_scarred else ("attempt", "crashes", "releases")
    said = {name: int(content.get(name, 0)) for name in numbers}
    _same(f"job {job.id}", said, {name: getattr(job, name) for name in numbers})
    _same(f"status of {job.id}", content.get("status"), job.status)
    _same(f"lease of {job.id}", content.get("lease"), job.lease)
    steps = {name: body.decode() for name, body in job.steps.items()}
    _same(f"steps of {job.id}", seen.hash(f"steps:{job.id}"), steps)
    if job.quarantined:
        return
    _compare_retention(job, seen)
    assert int(content.get("idle_releases", 0)) == job.idle_releases, f"releases of {job.id}"
    assert (content.get("cancel") == "1") == job.cancel, f"cancellation of {job.id}"
    _same(
        f"units of {job.id}",
        [int(content.get(name, 0)) for name in ("booked", "used")],
        [job.booked, job.used],
    )
    if job.error or job.ended:
        error = content.get("error", "")
        assert _begins_so(error, job.error), f"error of {job.id}: found {error!r}, meant {job.error!r}"
    if job.message is not None and job.status in ("pending", "processing"):
        assert content["message_id"] == job.message.id, f"message of {job.id}"
        assert content.get("lane", "normal") == job.lane, f"lane of {job.id}"


def _compare_retention(job: ModelJob, seen: Snapshot) -> None:
    """Keys of a job that has ended unrecorded go by themselves as a backstop; no others do."""
    goes = job.ended and not job.recorded and not job.left_to_janitor
    for kind in OF_A_JOB:
        kept_for = seen.kept_for.get(f"{kind}:{job.id}")
        assert kept_for is None or (kept_for > 0) == goes, (
            f"{kind}:{job.id} of a {job.status} job: {kept_for}"
        )


def _assert_exact_counts(queue: Queue) -> None:
    """The model's own books: a mistake in them would hide one in the store."""
    if queue.drifted:
        return
    actual: dict[str, int] = {}
    for job in queue.jobs.values():
        actual[job.status] = actual.get(job.status, 0) + 1
    _same("the model's counts", actual, _without_zeros(queue.counts))
