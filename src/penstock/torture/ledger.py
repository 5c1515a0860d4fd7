"""The ledger: what handlers really did, on the disk before they go on, outside Redis."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One fact: what happened to which attempt, in which process, at what time (s since the epoch).

    Facts are ``ready``; ``start``, ``end``, ``raise`` (a failure on purpose) and ``stop`` (told to) of a
    handler; ``paid`` (a step's function ran) and ``step`` (it is stored); ``refused`` (a late write of a
    handler); and ``settled``, whose ``detail`` is the outcome and the server's code.
    """

    fact: str
    job: str
    attempt: int
    pid: int
    at: float
    detail: str = ""


class Ledger:
    """A file of facts that any number of processes append to."""

    def __init__(self, path: Path) -> None:
        """``path`` is made at the first fact."""
        self.path = path

    def append(self, fact: str, job: str = "", attempt: int = 0, detail: str = "") -> None:
        """Add a fact; on the disk when this returns. Raises ``OSError`` if it cannot be written."""
        self.append_all([(fact, job, attempt, detail)])

    def append_all(self, facts: Iterable[tuple[str, str, int, str]]) -> None:
        """Add facts in one write; on the disk when this returns. Raises ``OSError`` if that fails."""
        pid, now = os.getpid(), time.time()
        entries = ([fact, job, attempt, pid, now, detail] for fact, job, attempt, detail in facts)
        lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, lines) != len(lines):
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
