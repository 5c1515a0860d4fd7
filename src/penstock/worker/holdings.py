"""What a worker holds: every job it claimed and has not settled yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from penstock.core.errors import LeaseLostError
from penstock.core.outcomes import Claimed
from penstock.worker.beat_board import line

if TYPE_CHECKING:
    from penstock.worker.watchdog import Watchdog

StopReason: TypeAlias = Literal["cancel", "release", "lost", "timeout"]

SUSPECT_CRASHES = 2


class Holding:
    """A claimed job: its lease, its task while the handler runs, and why it was told to stop."""

    __slots__ = (
        "board_line",
        "claimed",
        "has_begun",
        "in_thread",
        "on_stop",
        "serial",
        "should_stop",
        "stopping",
        "task",
        "watchdog",
    )

    def __init__(self, claimed: Claimed, serial: int) -> None:
        """``serial`` numbers the attempts of one worker process, from 1."""
        self.claimed = claimed
        # Made once: the board is written at every claim, with every job held.
        self.board_line = line(serial, False, claimed.id, claimed.lease)
        self.serial = serial
        self.has_begun = False
        self.in_thread = False
        self.should_stop = False
        self.stopping: StopReason | None = None
        self.watchdog: Watchdog | None = None
        self.on_stop: Callable[[], None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether this job's workers died often enough to run it without other suspects."""
        return self.claimed.crashes >= SUSPECT_CRASHES

    def stop(self, reason: StopReason) -> None:
        """Tell the attempt to stop, once; a thread that is cancelled or out of time is waited for."""
        if self.task is None or self.stopping in ("lost", reason):
            return
        self.stopping = reason
        self.should_stop = True
        if self.on_stop is not None:
            self.on_stop()
        # A task that has not begun would end without a word; it looks at `stopping` when it begins.
        if self.has_begun and not (self.in_thread and reason in {"cancel", "timeout"}):
            self.task.cancel()

    async def obey(self, code: str) -> None:
        """Act on the server's answer to something that the handler said."""
        if code == "lost":
            self.should_stop = True
            raise LeaseLostError(f"job {self.claimed.id} is no longer this worker's: its lease was lost")
        if code == "cancel":
            self.stop("cancel")
            # Gives the cancellation its chance before the handler takes up the next piece of work.
            await asyncio.sleep(0)
            if self.in_thread:
                raise asyncio.CancelledError

    def sign_of_life(self, lasting_seconds: float = 0) -> None:
        """Note that the attempt lives, and will be silent on purpose for ``lasting_seconds``."""
        if self.watchdog is not None:
            self.watchdog.sign_of_life(lasting_seconds)

    def end(self) -> None:
        """The handler has ended.

        What leads to its context and from there back here goes now, payload and results with it, and not
        when the garbage collector comes by.
        """
        self.task = self.on_stop = self.watchdog = None


class Holdings:
    """All holdings by job id. ``running`` counts those whose handler has not ended."""

    def __init__(self, max_concurrent: int) -> None:
        """Room for ``max_concurrent`` running handlers."""
        self.max_concurrent = max_concurrent
        self.by_id: dict[str, Holding] = {}
        self.running = 0
        # By id and lease, until they are settled: a result that is not written yet would die with the process
        # that the next one kills.
        self.suspects: set[tuple[str, str]] = set()
        self.changed = asyncio.Event()
        self._serial = 0

    def __len__(self) -> int:
        return len(self.by_id)

    @property
    def free_slots(self) -> int:
        """How many more jobs may be claimed now; none while too many outcomes are unsettled."""
        unsettled = len(self.by_id) - self.running
        if unsettled > 2 * self.max_concurrent + 64:
            return 0
        return self.max_concurrent - self.running

    def add(self, claimed: Claimed) -> Holding | None:
        """Note a claimed job whose handler is about to run; ``None`` if it is held under this very lease.

        A job that is held under an older lease was lost without our noticing: that attempt is stopped.
        """
        older = self.by_id.get(claimed.id)
        if older is not None:
            if older.claimed.lease == claimed.lease:
                return None
            older.stop("lost")
        self._serial += 1
        holding = Holding(claimed, self._serial)
        self.by_id[claimed.id] = holding
        self.running += 1
        if holding.is_suspect:
            self.suspects.add((claimed.id, claimed.lease))
        return holding

    def handler_ended(self, holding: Holding) -> None:
        """Note that a handler has ended: its slot is free, its lease is held until settled."""
        self.running -= 1
        holding.end()
        self.changed.set()

    def drop(self, job_id: str, lease: str) -> None:
        """Forget a job that is settled or no longer ours."""
        if self.suspects:
            self.suspects.discard((job_id, lease))
        holding = self.by_id.get(job_id)
        if holding is not None and holding.claimed.lease == lease:
            del self.by_id[job_id]
        self.changed.set()

    def stop(self, job_id: str, reason: StopReason, lease: str | None = None) -> bool:
        """Tell one job to stop; ``False`` if it is not held, or not under ``lease``."""
        holding = self.by_id.get(job_id)
        if holding is None or (lease is not None and holding.claimed.lease != lease):
            return False
        holding.stop(reason)
        return True

    def stop_all(self, reason: StopReason) -> None:
        """Tell every running job to stop."""
        for holding in list(self.by_id.values()):
            holding.stop(reason)
