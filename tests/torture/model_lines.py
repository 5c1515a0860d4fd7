"""Keys in the model: jobs of a key stand in its line, keys with a line take turns, one job each.

A key that may not go on has no turn. One whose places are taken gets a new one when a place is freed; one
whose rate is used up sleeps, keeps its turn, and is not overtaken in its lane by others that wait for it.
"""

from tests.torture.model_books import Books
from tests.torture.model_parts import HOME_LANES, ModelJob

LOOK_AGAIN_MS = 1_000


class Lines(Books):
    """Lines, turns and places."""

    def give_turn(self, lane: str, key: str) -> None:
        """After all others, unless the key has one already."""
        self.turns_given += 1
        self.turns.setdefault(lane, {}).setdefault(key, self.turns_given)

    def drop_turn(self, lane: str, key: str) -> None:
        self.turns.get(lane, {}).pop(key, None)
        if not self.turns.get(lane):
            self.turns.pop(lane, None)

    def turn_over(self, lane: str, key: str) -> None:
        """The key is last now."""
        self.turns_given += 1
        self.turns.setdefault(lane, {})[key] = self.turns_given

    def first_turn(self, lane: str) -> str:
        return _first(self.turns[lane])

    def fall_asleep(self, lane: str, rate: str, key: str) -> None:
        """With the turn that it has."""
        turn = self.turns[lane][key]
        asleep = self.asleep.setdefault((lane, rate), {})
        asleep[key] = min(asleep.get(key, turn), turn)

    def wake_up(self, lane: str, rate: str, key: str) -> None:
        asleep = self.asleep.get((lane, rate), {})
        asleep.pop(key, None)
        if not asleep:
            self.asleep.pop((lane, rate), None)
            self.timers.pop(f"rate {lane} {rate}", None)

    def wake_first(self, lane: str, rate: str) -> None:
        """The one whose turn is first looks again."""
        asleep = self.asleep.get((lane, rate))
        if not asleep:
            return
        key = _first(asleep)
        turn = asleep[key]
        self.wake_up(lane, rate, key)
        turns = self.turns.setdefault(lane, {})
        turns[key] = min(turns.get(key, turn), turn)

    def open_rate(self, lane: str, rate: str, now: int) -> None:
        """As `wake_first`; should nobody stand in that one's line any more, the next looks soon."""
        self.wake_first(lane, rate)
        if (lane, rate) in self.asleep:
            self.timers[f"rate {lane} {rate}"] = now + LOOK_AGAIN_MS

    def stand_in_line(self, job: ModelJob) -> None:
        key = job.options.line_key or ""
        # A job of the same id may have been lost from this very line, its hash destroyed.
        self.step_out(job.home_lane, key, job.id)
        self.lines.setdefault((job.home_lane, key), []).append(job.id)
        self.give_turn(job.home_lane, key)

    def leave_line(self, job: ModelJob) -> None:
        """For good; a line without anybody has no turn."""
        key = job.options.line_key
        if key is None:
            return
        self.step_out(job.home_lane, key, job.id)
        if (job.home_lane, key) not in self.lines:
            self.drop_turn(job.home_lane, key)
            if job.options.rate is not None:
                self.wake_up(job.home_lane, job.options.rate, key)

    def step_out(self, lane: str, key: str, job_id: str) -> None:
        line = self.lines.get((lane, key), [])
        if job_id in line:
            line.remove(job_id)
        if not line:
            self.lines.pop((lane, key), None)

    def give_turns_to(self, key: str) -> None:
        """In every lane where somebody waits."""
        for lane in HOME_LANES:
            if (lane, key) in self.lines:
                self.give_turn(lane, key)

    def free_place(self, job: ModelJob) -> None:
        """The next in line may have its turn."""
        key = job.options.line_key
        if key is None:
            return
        if job.id in self.holders.get(key, ()):
            self._drop_holder(key, job.id)
            self.give_turns_to(key)
        rate = job.options.rate
        if rate and job.options.units and self.rates.give_back(rate, job):
            for lane in HOME_LANES:
                self.wake_first(lane, rate)

    def evict(self, key: str) -> int:
        """Holders that are gone or stand where they hold nothing."""
        ghosts = [job_id for job_id in self.holders.get(key, ()) if not self._may_hold(job_id)]
        for job_id in ghosts:
            self._drop_holder(key, job_id)
        return len(ghosts)

    def _may_hold(self, job_id: str) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and job.damage in (None, "attempt") and job.status in ("pending", "processing")

    def _drop_holder(self, key: str, job_id: str) -> None:
        self.holders[key].remove(job_id)
        if not self.holders[key]:
            del self.holders[key]

    def is_full(self, key: str, places: int) -> bool:
        if len(self.holders.get(key, ())) >= places:
            self.evict(key)
        return len(self.holders.get(key, ())) >= places

    def may_start(self, lane: str, key: str, job: ModelJob, now: int) -> bool:
        """Whether the key may start this job. Whoever need not wait for the rate lets the next one look."""
        options = job.options
        places = self.rates.of(key).places or options.limit or 0
        has_place = not places or not self.is_full(key, places)
        if options.rate is None:
            return has_place
        if has_place and not self._is_open(lane, key, job, now):
            self.fall_asleep(lane, options.rate, key)
            return False
        if (lane, options.rate) in self.asleep:
            self.wake_up(lane, options.rate, key)
            self.wake_first(lane, options.rate)
        return has_place

    def _is_open(self, lane: str, key: str, job: ModelJob, now: int) -> bool:
        rate = job.options.rate or ""
        asleep = self.asleep.get((lane, rate), {})
        if asleep and _first(asleep) != key and min(asleep.values()) < self.turns[lane][key]:
            return False
        opens_at = self.rates.opens_at(rate, job.options.units, now)
        if opens_at > now:
            self.timers[f"rate {lane} {rate}"] = opens_at
        return opens_at <= now

    def seat(self, job: ModelJob, key: str, now: int) -> bool:
        """Give the job its key's place; whether it stands on the lane that this claim reads."""
        self.holders.setdefault(key, set()).add(job.id)
        if job.options.rate is not None:
            self.rates.start(job.options.rate, job, now)
        del self.index["waiting"][job.id]
        self.add_message(job, "suspects" if job.is_suspect else "keyed")
        self.move(job, "pending")
        self.seated += job.is_suspect
        return not job.is_suspect


def _first(turns: dict[str, int]) -> str:
    return min(turns, key=lambda key: turns[key])
