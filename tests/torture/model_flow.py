"""What jobs are told and tell while they live: suspensions and signals, feeds, usage, limits, pauses."""

from collections.abc import Sequence

from tests.torture.model_kin import Kin
from tests.torture.model_parts import HOME_LANES, ModelJob
from tests.torture.model_rates import Limits

HOUR_MS = 3_600_000


class Flow(Kin):
    """Verbs about a running or waiting job beside its settling."""

    def suspend(self, job: ModelJob, delay_ms: int, awaited: str, now: int) -> None:
        """Parked without a slot; a signal that is there already makes the job due at once."""
        self.record(job, "suspended")
        self.leave(job)
        self.free_place(job)
        name, _, place = awaited.partition("#")
        if awaited and len(self.signals.get(job.id, {}).get(name, [])) > int(place):
            delay_ms = 0
        job.attempt, job.releases = job.attempt - 1, job.releases + 1
        job.awaits = awaited
        self.index["suspended"][job.id] = now
        if delay_ms >= 0:
            self.timers[f"job {job.id}"] = now + delay_ms
        self.move(job, "suspended")

    def wake(self, job: ModelJob, now: int) -> None:
        self.leave(job)
        self.make_ready(job, now)
        self.record(job, "promoted")

    def signal(self, job_id: str, name: str, body: bytes, now: int) -> str:
        job = self.jobs.get(job_id)
        if job is None or job.damage:
            return "gone"
        if job.ended:
            return "ended"
        given = self.signals.setdefault(job_id, {})
        fields = len(given) + sum(len(bodies) for bodies in given.values())
        if fields >= 2 * self.timings.most_signals:
            return "full"
        given.setdefault(name, []).append(body)
        if job.status != "suspended" or job.awaits != f"{name}#{len(given[name]) - 1}":
            return "stored"
        self.wake(job, now)
        return "woken"

    def emit(self, job_id: str, lease: str, kind: str, body: bytes) -> str:
        job = self.jobs.get(job_id)
        if job is None or not job.is_under(lease):
            return "lost"
        feed = self.live.setdefault(job_id, [])
        if len(feed) >= self.timings.most_entries:
            return "full"
        feed.append((kind, body))
        job.watched = True
        return "cancel" if job.cancel else "ok"

    def watch(self, job_id: str) -> str:
        job = self.jobs.get(job_id)
        if job is None or job.damage == "type":
            return "gone"
        job.watched |= not job.ended
        return "nonsense" if job.damage == "status" else job.status

    def report(self, job_id: str, lease: str, name: str, amount: float, now: int) -> str:
        """Sums of the hour; what is called units also counts against the rate key."""
        job = self.jobs.get(job_id)
        if job is None or not job.is_under(lease):
            return "lost"
        options = job.options
        sums = self.usage.setdefault(now // HOUR_MS * 3600, {})
        field = f"default|{options.line_key or ''}|{name}"
        sums[field] = sums.get(field, 0) + amount
        if name == "units" and options.rate is not None:
            self.rates.use(options.rate, job, -int(-amount // 1), now)
        return "cancel" if job.cancel else "ok"

    def limit(self, key: str, limits: Limits, now: int) -> None:
        """Set a key's limits anew; those who wait see at once what they allow."""
        self.rates.limits.pop(key, None)
        if limits.places or limits.jobs or limits.units:
            self.rates.limits[key] = limits
        self._look_again(key, now)

    def pause_key(self, key: str, until: int, now: int) -> None:
        self.rates.pauses.pop(key, None)
        if until:
            self.rates.pauses[key] = until
        self._look_again(key, now)

    def _look_again(self, key: str, now: int) -> None:
        """Lines of the key, and lines whose next job waits for its rate."""
        for lane in HOME_LANES:
            if (lane, key) in self.lines:
                self.give_turn(lane, key)
            self.open_rate(lane, key, now)

    def crossed(self, endings: Sequence[tuple[str, str, str, bytes]], now: int) -> list[str]:
        """Endings from other queues: `(child, parent, status, body)`."""
        return [self.tell_child(*ending, now) for ending in endings]
