"""The ledger: what handlers really did, on the disk before they go on, outside Redis."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One fact: what happened to which attempt, in which process, at what time (s since the epoch)."""

    fact: str
    job: str
    attempt: int
    pid: int
    at: float


class Ledger:
    """A file of facts that any number of processes append to."""

    def __init__(self, path: Path) -> None:
        """``path`` is made at the first fact."""
        self.path = path

    def append(self, fact: str, job: str = "", attempt: int = 0) -> None:
        """Add a fact; on the disk when this returns. Raises ``OSError`` if it cannot be written."""
        line = json.dumps([fact, job, attempt, os.getpid(), time.time()]).encode() + b"\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(f"the ledger {self.path} took only a part of a line")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """All facts in the order of writing; a line that its writer did not finish is left out."""
        if not self.path.exists():
            return []
        complete, _, _ = self.path.read_bytes().rpartition(b"\n")
        return [Entry(*json.loads(line)) for line in complete.splitlines()]
