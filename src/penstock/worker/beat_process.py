"""The heartbeat process: renews a worker's leases from where nothing in the worker can starve it.

It reads the board in shared memory, beats on its own connection, and tells the worker over its
standard output (one JSON object a line) what was lost. It ends when its standard input does, which
happens when the worker ends, however it ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

from penstock.core.config import LeaseTimings
from penstock.core.errors import PenstockError, QueueUnavailableError
from penstock.store.beats import BeatLine, open_beat_line
from penstock.worker.beat_board import BeatBoard, HeldLease

RETRY_SECONDS = 0.5


class BeatProcess:
    """Beats for one worker until told to stop."""

    def __init__(self, given: dict[str, Any]) -> None:
        """``given`` is what the worker wrote on the first line of standard input."""
        self._timings = LeaseTimings(**given["timings"])
        self._line: BeatLine = open_beat_line(given, self._timings)
        self._board = BeatBoard(given["board"], given["board_bytes"])
        self._parent: int = given["parent"]
        self._leases: list[HeldLease] = []
        self._let_go: set[tuple[str, str]] = set()
        self._turns = -1
        self._turned_at = time.monotonic()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Beat until standard input ends."""
        threading.Thread(target=self._end_with_parent, daemon=True).start()
        pause = 0.0
        tell(ready=True)
        while not self._stopped.wait(pause):
            try:
                self._beat()
                pause = self._timings.beat_seconds
            except QueueUnavailableError as error:
                tell(trouble=str(error))
                pause = min(RETRY_SECONDS, self._timings.beat_seconds)
            except PenstockError as error:
                tell(trouble=str(error))
                pause = self._timings.beat_seconds

    def _beat(self) -> None:
        held = self._board.read()
        if held is not None:
            self._leases = held
        if self._is_stalled():
            self._let_all_go()
        leases = [held for held in self._leases if (held.id, held.lease) not in self._let_go]
        beat = self._line.beat([(held.id, held.lease) for held in leases], self._board.now_ms)
        by_id = {held.id: held.lease for held in leases}
        if beat.superseded:
            tell(superseded=True)
        if beat.lost or beat.cancelled:
            tell(lost=[[job_id, by_id[job_id]] for job_id in beat.lost], cancelled=beat.cancelled)

    def _is_stalled(self) -> bool:
        turns = self._board.turns
        now = time.monotonic()
        if turns != self._turns:
            self._turns, self._turned_at = turns, now
            self._let_go.clear()
            return False
        return now - self._turned_at > self._timings.stall_seconds

    def _let_all_go(self) -> None:
        """The loop is stuck: whoever is on its stack pays with a crash, the others go unspent."""
        going = [held for held in self._leases if (held.id, held.lease) not in self._let_go]
        if not going:
            return
        os.kill(self._parent, signal.SIGUSR2)
        culprit = self._board.serial
        blamed = [held for held in going if held.serial == culprit or (culprit == 0 and held.in_thread)]
        spared = [held for held in going if held not in blamed]
        self._line.let_go(
            [(held.id, held.lease) for held in blamed], [(held.id, held.lease) for held in spared]
        )
        self._let_go |= {(held.id, held.lease) for held in going}
        tell(stalled=[held.id for held in blamed], released=[held.id for held in spared])

    def _end_with_parent(self) -> None:
        sys.stdin.buffer.read()
        os._exit(0)


def tell(**message: Any) -> None:
    """Write one message to the worker."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run as ``python -m penstock.worker.beat_process``; started by the worker only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    given = json.loads(sys.stdin.buffer.readline())
    BeatProcess(given).run()


if __name__ == "__main__":
    main()
