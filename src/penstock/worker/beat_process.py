"""The heartbeat process: renews a worker's leases from where nothing in the worker can starve it.

It reads the board in shared memory, beats on its own connection, and tells the worker over its
standard output (one JSON object a line) what was lost. It ends with the worker, however that ends.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, TypeAlias

from penstock.core.errors import PenstockError
from penstock.core.outcomes import Beat
from penstock.core.timings import LeaseTimings
from penstock.store.beats import BeatLine, open_beat_line
from penstock.worker.beat_board import BeatBoard, HeldLease

RETRY_SECONDS = 0.5

Lease: TypeAlias = tuple[str, str]


class BeatProcess:
    """Beats for one worker until told to stop."""

    def __init__(self, given: dict[str, Any], tell: Teller) -> None:
        """``given`` is what the worker wrote on the first line of standard input."""
        self._timings = LeaseTimings(**given["timings"])
        self._line: BeatLine = open_beat_line(given, self._timings)
        self._board = BeatBoard(given["board"], given["board_bytes"])
        self._parent: int = given["parent"]
        self._tell = tell
        self._leases: list[HeldLease] = []
        self._let_go: set[Lease] = set()
        self._told: set[tuple[str, Lease]] = set()
        self._stall = StallWatch(self._timings, self._timings.stall_seconds)
        self._gil = StallWatch(self._timings, self._timings.stall_seconds / 2)

    def run(self) -> None:
        """Beat until the worker is gone."""
        threading.Thread(target=_end_with_parent, daemon=True).start()
        self._tell(ready=True)
        # A fork of the worker keeps the pipe open that would tell of its end; its parent id does not lie.
        while os.getppid() == self._parent:
            pause = self._timings.beat_seconds
            try:
                self._beat()
            except PenstockError as error:
                self._tell(trouble=str(error))
                pause = min(RETRY_SECONDS, pause)
            time.sleep(pause)

    def _beat(self) -> None:
        held = self._board.read()
        if held is not None:
            self._leases = held
        is_gil_held = self._gil.is_over(self._board.breaths)
        if not self._stall.is_over(self._board.turns):
            self._let_go.clear()
        elif os.getppid() == self._parent:
            self._let_all_go(is_gil_held)
        leases = [(held.id, held.lease) for held in self._leases]
        leases = [lease for lease in leases if lease not in self._let_go]
        beat = self._line.beat(leases, self._board.now_ms)
        if beat.superseded:
            self._tell(superseded=True)
        else:
            self._report(beat, dict(leases))

    def _report(self, beat: Beat, leases: dict[str, str]) -> None:
        """Tell what is new: a blocked worker does not read, and must not be written full."""
        lost = [(job_id, leases[job_id]) for job_id in beat.lost]
        cancelled = [(job_id, leases[job_id]) for job_id in beat.cancelled]
        news = {("lost", lease) for lease in lost} | {("cancelled", lease) for lease in cancelled}
        fresh = news - self._told
        # Forgotten with the lease; a job that was told to stop is in every beat until it has.
        self._told = news
        if fresh:
            self._tell(
                lost=[lease for lease in lost if ("lost", lease) in fresh],
                cancelled=[lease for lease in cancelled if ("cancelled", lease) in fresh],
            )

    def _let_all_go(self, is_gil_held: bool) -> None:
        """The loop is stuck: whoever is to blame pays with a crash, the others go unspent."""
        going = [held for held in self._leases if (held.id, held.lease) not in self._let_go]
        if not going:
            return
        os.kill(self._parent, signal.SIGUSR2)
        blamed = to_blame(going, self._board.serial, is_gil_held)
        spared = [held for held in going if held not in blamed]
        self._line.let_go(
            [(held.id, held.lease) for held in blamed], [(held.id, held.lease) for held in spared]
        )
        self._let_go |= {(held.id, held.lease) for held in going}
        self._tell(
            stalled=[(held.id, held.lease) for held in blamed],
            released=[(held.id, held.lease) for held in spared],
        )


def to_blame(leases: Iterable[HeldLease], serial: int, is_gil_held: bool) -> list[HeldLease]:
    """Who may have brought the loop to a stand: the attempt on its stack.

    While the interpreter lock is held, that attempt may only be waiting for it: then it can also
    have been any attempt that runs in a thread.
    """
    return [held for held in leases if held.serial == serial or (is_gil_held and held.in_thread)]


class StallWatch:
    """Knows how long a counter of the worker has stood still while this process was running.

    A worker that was frozen together with this process, or with the whole machine, has not stalled:
    of a gap between two looks only what beating explains is counted.
    """

    def __init__(self, timings: LeaseTimings, limit_seconds: float) -> None:
        """Nothing is known yet."""
        self._limit_seconds = limit_seconds
        self._longest_gap_seconds = 3 * timings.beat_seconds
        self._turns = -1
        self._still_seconds = 0.0
        self._looked_at = time.monotonic()

    def is_over(self, turns: int) -> bool:
        """Whether the counter, seen now at ``turns``, has stood still for too long."""
        now = time.monotonic()
        gap = min(now - self._looked_at, self._longest_gap_seconds)
        self._looked_at = now
        self._still_seconds = self._still_seconds + gap if turns == self._turns else 0.0
        self._turns = turns
        return self._still_seconds > self._limit_seconds


class Teller:
    """Writes messages to the worker from a thread of its own: a worker that does not read delays no beat."""

    def __init__(self) -> None:
        """Begin writing to standard output."""
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def __call__(self, **message: Any) -> None:
        """Write one message."""
        self._messages.put(message)

    def _write(self) -> None:
        try:
            while True:
                sys.stdout.write(json.dumps(self._messages.get()) + "\n")
                sys.stdout.flush()
        except OSError:
            # The worker has died while it was being told something: nobody is left to beat for.
            os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Run as ``python -m penstock.worker.beat_process``; started by the worker only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    given = json.loads(sys.stdin.buffer.readline())
    BeatProcess(given, Teller()).run()
    os._exit(0)


if __name__ == "__main__":
    main()
