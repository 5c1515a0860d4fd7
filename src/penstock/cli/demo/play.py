"""The part of the demo in which runs go on: submit, watch, kill one worker, see all of them end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock.cli.demo.api_client import ApiClient
from penstock.cli.demo.goals import Goal
from penstock.cli.demo.history import count_ended
from penstock.cli.demo.ledger import Fact, LedgerReader
from penstock.cli.demo.library import LARGE_NAME
from penstock.cli.demo.outcome import Kill, Outcome, reclaimed_starts, repeated_steps, was_in_the_middle
from penstock.cli.demo.receiver import Receiver
from penstock.cli.demo.signals import StopRequest
from penstock.cli.demo.view import RunLine, Snapshot, View, shortened
from penstock.cli.demo.watch import Watch, step_in_the_middle
from penstock.cli.stack.readiness import check
from penstock.cli.stack.stack import Stack
from penstock.core.errors import WorkerError
from penstock.core.timings import LeaseTimings
from penstock.runs.history import HistoryReader

LOOK_SECONDS: Final = 0.03
STATUS_SECONDS: Final = 0.25
#: A step that has lasted so long is in its middle rather than at its end.
STEP_SECONDS: Final = 0.3
LONGEST_RUN_SECONDS: Final = 150.0
#: What takes its time over a large text; everything else over it may end at any moment.
LONG_TOOLS: Final = ("key_words", "summarise_file")
_TITLE_WIDTH: Final = 60
_PART_OF_A_STEP: Final = ": "


@dataclass(frozen=True, slots=True)
class Scene:
    """Who plays together; `begun` is when the demo began, by the monotonic clock."""

    stack: Stack
    client: ApiClient
    receiver: Receiver
    history: HistoryReader
    ledger: LedgerReader
    view: View
    stop: StopRequest
    begun: float


class Play:
    """Plays the goals once on a stack that serves."""

    def __init__(self, scene: Scene) -> None:
        """Nothing happens before `run`."""
        self._stack = scene.stack
        self._client = scene.client
        self._receiver = scene.receiver
        self._history = scene.history
        self._ledger = scene.ledger
        self._view = scene.view
        self._stop = scene.stop
        self._begun = scene.begun
        self._deadline = time.monotonic() + LONGEST_RUN_SECONDS
        self._watch = Watch(scene.client, {})
        self._kill: Kill | None = None

    async def run(self, goals: list[Goal], actor: str) -> Outcome:
        """Run all goals to their end, webhooks and history included, and return the numbers."""
        self._receiver.trust(await self._client.webhook_secret())
        runs = {await self._client.submit(goal, self._receiver.url): goal for goal in goals}
        self._watch = Watch(self._client, runs)
        self._view.say(f"{len(runs)} goals are submitted over HTTP, to be told of by webhook.")
        await self._until_all_ended()
        for status in self._watch.statuses.values():
            if status.status != "completed":
                self._view.say(f"“{self._title(status.run_id)}” {status.status}: {status.error}", "red")
        rows = await self._until_all_told(actor)
        self._take(self._ledger.refresh())
        return self._outcome(rows)

    async def _until_all_ended(self) -> None:
        while not self._watch.all_ended:
            self._take(self._ledger.refresh())
            if self._kill is None:
                await self._kill_in_the_middle()
            if time.monotonic() - self._watch.looked_at >= STATUS_SECONDS:
                await self._watch.look()
                self._view.show(self._snapshot())
            self._check()
            await asyncio.sleep(LOOK_SECONDS)

    async def _until_all_told(self, actor: str) -> int:
        """Wait for the last webhooks and the last rows; how many rows of ended runs there are."""
        while True:
            rows = await count_ended(self._history, actor)
            expected = len(self._watch.goals)
            if (rows >= expected and len(self._receiver.verified) >= expected) or self._is_over():
                return rows
            self._view.show(self._snapshot())
            self._stop.check()
            await asyncio.sleep(STATUS_SECONDS)

    async def _kill_in_the_middle(self) -> None:
        """Kill the worker that is seen inside a long step, over the large text if a goal is about that."""
        runs = self._watch.goals
        large = [run for run, goal in runs.items() if LARGE_NAME in goal.text]
        step = step_in_the_middle(self._ledger.facts, large or list(runs))
        if step is None or time.monotonic() - step.at_seconds < STEP_SECONDS:
            return
        if large and not any(f": {tool}-" in step.name for tool in LONG_TOOLS):
            return
        seen = await self._client.status(step.run_id)
        killed_at = time.monotonic()
        await self._stack.process(step.worker).kill()
        self._kill = Kill(step.worker, step.run_id, step.name, killed_at)
        self._take(self._ledger.refresh())
        self._view.say(
            f"Killed {step.worker} (SIGKILL) in the middle of the step “{step.name}” of "
            f"“{self._title(step.run_id)}”, which stood at {seen.progress} %.",
            "bold red",
        )

    def _take(self, fresh: Iterable[Fact]) -> None:
        """Tell what the ledger says about the recovery."""
        kill = self._kill
        if kill is None:
            return
        again = reclaimed_starts(self._ledger.facts, kill)
        for fact in fresh:
            title = self._title(fact.job)
            if fact.name == "job started" and again.get(fact.job) == fact.at_seconds:
                after = fact.at_seconds - kill.at_seconds
                self._view.say(
                    f"{fact.worker} goes on with “{title}”, {after:.1f} s after the kill.", "green"
                )
            elif fact.name == "step replayed" and _PART_OF_A_STEP not in str(fact.step):
                self._view.say(
                    f"Step “{fact.step}” of “{title}” was finished before: not run again.", "green"
                )

    def _snapshot(self) -> Snapshot:
        lines = []
        for number, run_id in enumerate(self._watch.goals, 1):
            status = self._watch.statuses.get(run_id)
            if status is not None:
                step = "" if status.is_final else status.current_step or ""
                lines.append(
                    RunLine(run_id, number, self._title(run_id), status.status, status.progress, step)
                )
        return Snapshot(
            seconds=time.monotonic() - self._begun,
            runs=tuple(lines),
            ended=sum(one.is_final for one in self._watch.statuses.values()),
            webhooks=len(self._receiver.verified),
            waiting_for=self._waiting_for(),
        )

    def _waiting_for(self) -> str | None:
        kill = self._kill
        status = None if kill is None else self._watch.statuses.get(kill.run_id)
        if kill is None or status is None or status.is_final:
            return None
        if kill.run_id in reclaimed_starts(self._ledger.facts, kill):
            return None
        silent, lease = time.monotonic() - kill.at_seconds, LeaseTimings().presumed_dead_seconds
        return f"{kill.worker} silent for {silent:.0f} s of the {lease:g} s of its lease"

    def _outcome(self, rows: int) -> Outcome:
        facts, kill = self._ledger.facts, self._kill
        again = {} if kill is None else reclaimed_starts(facts, kill)
        recovery = max(again.values()) - kill.at_seconds if kill is not None and again else None
        return Outcome(
            runs=len(self._watch.goals),
            completed=self._watch.count("completed"),
            failed=self._watch.count("failed") + self._watch.count("cancelled"),
            workers_killed=int(kill is not None and was_in_the_middle(facts, kill)),
            reclaimed=len(again),
            steps_repeated=repeated_steps(facts),
            webhooks_verified=len(self._receiver.verified),
            webhooks_refused=self._receiver.refused,
            history_rows=rows,
            recovery_seconds=None if recovery is None else round(recovery, 2),
            seconds=round(time.monotonic() - self._begun, 2),
        )

    def _title(self, run_id: str) -> str:
        goal = self._watch.goals.get(run_id)
        return run_id if goal is None else shortened(goal.text, _TITLE_WIDTH)

    def _check(self) -> None:
        self._stop.check()
        alive = [one for one in self._stack.supervisor.processes if not self._is_killed(one.name)]
        check(alive)
        if self._is_over():
            raise WorkerError(f"the runs did not end within {LONGEST_RUN_SECONDS:g} s")

    def _is_killed(self, name: str) -> bool:
        return self._kill is not None and self._kill.worker == name

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline
