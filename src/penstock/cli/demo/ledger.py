"""The demo's record outside Redis: what handlers really did, on disk before they go on.

One line of JSON a fact, appended in one write and fsynced. What stands here has happened, even when
the process was killed in the next instant; so it can be held against what Redis says.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

FactName = Literal["job started", "step started", "step finished", "step replayed", "job finished"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a handler did. `at_seconds` is the machine's monotonic clock, one for all processes.

    A step is finished once its result is stored; it is replayed when a later attempt gets the
    stored result instead of running it.
    """

    name: FactName
    job: str
    worker: str
    attempt: int
    at_seconds: float
    step: str | None = None


class LedgerWriter:
    """Writes the facts of one attempt of one job."""

    def __init__(self, path: Path, job: str, worker: str, attempt: int) -> None:
        self._path = path
        self._who = (job, worker, attempt)

    def note(self, name: FactName, step: str | None = None) -> None:
        """Append a fact; it is on the disk when this returns."""
        fact = Fact(name, *self._who, time.monotonic(), step)
        line = json.dumps(asdict(fact)).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                raise OSError(f"the ledger took {written} of {len(line)} bytes")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class LedgerReader:
    """Reads what was appended since the last look; a line that is still being written waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.facts: list[Fact] = []

    def refresh(self) -> list[Fact]:
        """Read on and return the new facts; `facts` has all of them, in the order of writing."""
        fresh = list(self._read_on())
        self.facts += fresh
        return fresh

    def _read_on(self) -> Iterator[Fact]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        for line in complete.splitlines():
            yield Fact(**json.loads(line))
