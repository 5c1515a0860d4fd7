"""A record outside Redis of what really happened, written by handlers in other processes.

One line of JSON per fact, appended in one write and fsynced before the handler goes on: what stands
in the ledger has happened, even when the process was killed in the next instant.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness.waiting import WaitTimeout

LEDGER_VARIABLE = "PENSTOCK_TEST_LEDGER"
LOOK_AGAIN_SECONDS = 0.01

Entry = dict[str, Any]


def record(fact: str, **fields: Any) -> None:
    """Append a fact with its JSON fields, the pid and the monotonic time, to this process's ledger.

    The ledger is the file named by the environment variable PENSTOCK_TEST_LEDGER.
    """
    path = os.environ.get(LEDGER_VARIABLE)
    if path is None:
        raise RuntimeError(f"no ledger: set {LEDGER_VARIABLE}, or start the process by a fixture")
    append(Path(path), fact, **fields)


def append(path: Path, fact: str, **fields: Any) -> None:
    """Append a fact to the ledger at `path`; on the disk when this returns."""
    entry = {"fact": fact, "pid": os.getpid(), "at_seconds": time.monotonic(), **fields}
    line = json.dumps(entry).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(f"the ledger {path} took only a part of a line")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Ledger:
    """The reading side: what the handlers have written so far, and waiting for more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, fact: str | None = None) -> list[Entry]:
        """All entries in the order of writing, or those of one fact."""
        if not self.path.exists():
            return []
        complete, _, _ = self.path.read_bytes().rpartition(b"\n")
        found: list[Entry] = [json.loads(line) for line in complete.splitlines()]
        return [entry for entry in found if fact is None or entry["fact"] == fact]

    async def until(
        self,
        holds: Callable[[list[Entry]], bool],
        timeout_seconds: float = 15.0,
    ) -> list[Entry]:
        """Return the entries as soon as `holds` accepts them.

        Raises WaitTimeout, with the entries that were there, after `timeout_seconds`.
        """
        deadline = time.monotonic() + timeout_seconds
        size = -1
        while time.monotonic() < deadline:
            size_now = self.path.stat().st_size if self.path.exists() else 0
            if size_now != size:
                size = size_now
                entries = self.entries()
                if holds(entries):
                    return entries
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        lines = "\n".join(map(str, self.entries()))
        raise WaitTimeout(f"after {timeout_seconds} s the ledger holds only:\n{lines}")

    async def count(self, fact: str, count: int, timeout_seconds: float = 15.0) -> list[Entry]:
        """Return the entries of `fact` as soon as there are at least `count` of them."""
        await self.until(
            lambda entries: sum(entry["fact"] == fact for entry in entries) >= count,
            timeout_seconds,
        )
        return self.entries(fact)
