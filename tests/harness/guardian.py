"""Sees to it that a test session leaves no process and no file, however the session ends.

The guardian is a small process in a session of its own that holds the reading end of a pipe. When
the pipe closes, because the tests ended or because pytest was killed, it kills every process that
belongs to the test session and removes the session's directory.

A process belongs to the session when its first environment carries the session's token, or when it
works inside the session's directory: Redis and Valkey overwrite their environment with their title,
and a process that detached itself has left its group and its parent.

PR_SET_PDEATHSIG would not do: it fires when the starting *thread* ends, is cleared by some of the
programs started here, does not reach grandchildren, and removes no file.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

TOKEN_VARIABLE = "PENSTOCK_TEST_SESSION"
SWEEP_PAUSE_SECONDS = 0.02
QUIET_SWEEPS = 3
# Lives as long as the process that used a spawn pool, by design of the standard library.
TOLERATED = "multiprocessing.resource_tracker"


class Survivor(NamedTuple):
    """A living process of a test session, and the test that was running when it was started."""

    pid: int
    command: str
    test: str


def survivors(root: Path, ignore: set[int]) -> list[Survivor]:
    """All living processes that belong to the session whose directory is `root`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            pid = int(entry.name)
            environment = (entry / "environ").read_bytes().split(b"\0")
            token = f"{TOKEN_VARIABLE}={root.name}".encode()
            if pid in ignore or not (token in environment or _works_inside(entry, root)):
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if command and TOLERATED not in command:
                found.append(Survivor(pid, command, _test_of(environment)))
    return found


def _works_inside(process: Path, root: Path) -> bool:
    return (process / "cwd").readlink().is_relative_to(root)


def _test_of(environment: list[bytes]) -> str:
    prefix = b"PYTEST_CURRENT_TEST="
    tests = [entry.removeprefix(prefix) for entry in environment if entry.startswith(prefix)]
    return tests[0].decode() if tests else "unknown"


class Guardian:
    """The session's own directory, and the process that clears up behind it."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="penstock-tests-")).resolve()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The pid of the process that clears up."""
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """What a process must find in its environment to be known as one of the session's."""
        return {TOKEN_VARIABLE: self.root.name}

    def directory(self, name: str) -> Path:
        """Make a new directory that goes when the session ends."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    def leftovers(self, patience_seconds: float = 3.0) -> list[Survivor]:
        """The session's processes that are still there after `patience_seconds`."""
        deadline = time.monotonic() + patience_seconds
        ignore = {os.getpid(), self._process.pid}
        while left := survivors(self.root, ignore):
            if time.monotonic() > deadline:
                return left
            time.sleep(SWEEP_PAUSE_SECONDS)
        return []

    def close(self) -> None:
        """Kill what is left of the session and remove its directory."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def _sweep(root: Path) -> None:
    """Kill until several looks in a row find nothing: a dying parent may just have forked."""
    quiet = 0
    while quiet < QUIET_SWEEPS:
        left = survivors(root, {os.getpid()})
        for survivor in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(survivor.pid, signal.SIGKILL)
        quiet = 0 if left else quiet + 1
        time.sleep(SWEEP_PAUSE_SECONDS)


def _watch(root: Path) -> None:
    sys.stdin.buffer.read()
    _sweep(root)
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
