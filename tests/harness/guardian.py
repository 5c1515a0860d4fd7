"""Sees to it that a test session leaves no process and no file, however the session ends.

The guardian is a small process in a session of its own that holds the reading end of a pipe. When
the pipe closes, because the tests ended or because pytest was killed, it kills every process that
belongs to the test session and removes the session's directory.

A process belongs to the session when its first environment carries the session's token, or when it
works inside one of the session's directories: Redis and Valkey overwrite their environment with their title,
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
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TOKEN_VARIABLE = "PENSTOCK_TEST_SESSION"
SWEEP_PAUSE_SECONDS = 0.02
SWEEP_SECONDS = 10.0
QUIET_SWEEPS = 3
# Lives as long as the process that used a spawn pool, by design of the standard library.
TOLERATED = "multiprocessing.resource_tracker"


class Survivor(NamedTuple):
    """A living process of a test session, and the test that was running when it was started."""

    pid: int
    command: str
    test: str


def survivors(root: Path, places: list[Path], ignore: set[int]) -> list[Survivor]:
    """All living processes of the session that owns `root`, or that work inside `places`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            pid = int(entry.name)
            environment = (entry / "environ").read_bytes().split(b"\0")
            token = f"{TOKEN_VARIABLE}={root.name}".encode()
            if pid in ignore or not (token in environment or _works_inside(entry, [root, *places])):
                continue
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            if command and TOLERATED not in command:
                found.append(Survivor(pid, command, _test_of(environment)))
    return found


def _works_inside(process: Path, places: list[Path]) -> bool:
    directory = (process / "cwd").readlink()
    return any(directory.is_relative_to(place) for place in places)


def _test_of(environment: list[bytes]) -> str:
    prefix = b"PYTEST_CURRENT_TEST="
    tests = [entry.removeprefix(prefix) for entry in environment if entry.startswith(prefix)]
    return tests[0].decode() if tests else "unknown"


class Guardian:
    """The session's own directory, and the process that clears up behind it.

    `places` are further directories whose processes are the session's, such as pytest's tmp_path
    root; their files are left alone.
    """

    def __init__(self, places: Iterable[Path] = ()) -> None:
        self._places = [place.resolve() for place in places]
        self.root = Path(tempfile.mkdtemp(prefix="penstock-tests-")).resolve()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.root), *map(str, self._places)],
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
        while left := survivors(self.root, self._places, ignore):
            if time.monotonic() > deadline:
                return left
            time.sleep(SWEEP_PAUSE_SECONDS)
        return []

    def close(self) -> None:
        """Kill what is left of the session and remove its directory."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def _sweep(root: Path, places: list[Path]) -> None:
    """Kill until several looks in a row find nothing: a dying parent may just have forked."""
    quiet = 0
    deadline = time.monotonic() + SWEEP_SECONDS
    while quiet < QUIET_SWEEPS and time.monotonic() < deadline:
        left = survivors(root, places, {os.getpid()})
        for survivor in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(survivor.pid, signal.SIGKILL)
        quiet = 0 if left else quiet + 1
        time.sleep(SWEEP_PAUSE_SECONDS)


def _watch(root: Path, *places: Path) -> None:
    sys.stdin.buffer.read()
    _sweep(root, list(places))
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    _watch(*map(Path, sys.argv[1:]))
