"""A real `penstock dev`, with its embedded engines, as a test starts, watches and stops it."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from penstock.api.auth import Authenticator
from penstock.cli.secret_key import read_secret_key
from tests.harness.processes import REPOSITORY
from tests.harness.waiting import WaitTimeout

READY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 60.0
GIVEN_SERVERS: Final = ("PENSTOCK_REDIS_URL", "REDIS_URL", "PENSTOCK_DATABASE_URL")


class DevStack:
    """One `penstock dev` process on a free port. All methods block.

    `notes` holds what it says to its user, `log` is the file with its services' logs.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = directory / "data"
        self.workspace = directory / "workspace"
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.log = directory / "services.log"
        self.notes: list[str] = []
        self._changed = threading.Condition()
        kept = {name: value for name, value in os.environ.items() if name not in GIVEN_SERVERS}
        paths = [str(REPOSITORY / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        settings = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "penstock", "dev", "--port", "0", "--data-dir", str(self.data_dir)],
                cwd=self.workspace,
                env={**kept, **settings, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id of `penstock dev` itself."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where its API is."""
        return self.note(r"API +(http://\S+)").group(1)

    def until_ready(self) -> None:
        """Wait until it says that it is ready."""
        self.note(r"^Ready", READY_SECONDS)

    def note(self, pattern: str, timeout_seconds: float = 30.0, *, after: int = 0) -> re.Match[str]:
        """The first of its notes from `after` on in which the regex is found; raises WaitTimeout."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                found = next(filter(None, map(wanted.search, self.notes[after:])), None)
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise WaitTimeout(f"no note like {pattern!r}:\n{self.output}")
                self._changed.wait(min(left, 1.0))

    @property
    def output(self) -> str:
        """All it has said, and its services' logs, for messages."""
        return "\n".join([*self.notes, self.log.read_text(errors="replace")])

    def token(self, actor: str, *, lifetime_seconds: int = 3600, scopes: frozenset[str] = frozenset()) -> str:
        """A token for an actor, as `penstock token` would print it."""
        key = read_secret_key(self.data_dir)
        return Authenticator(key).issue(actor, scopes=scopes, lifetime_seconds=lifetime_seconds)

    def headers(self, actor: str, scopes: frozenset[str] = frozenset()) -> dict[str, str]:
        """What a request of an actor carries."""
        return {"Authorization": f"Bearer {self.token(actor, scopes=scopes)}"}

    def child(self, *words: str) -> psutil.Process:
        """The one of its children whose command line has all these words."""
        children = psutil.Process(self.pid).children()
        found = [one for one in children if all(word in _command_of(one) for word in words)]
        assert len(found) == 1, f"{words}: {found} of {children}"
        return found[0]

    def descendants(self) -> list[psutil.Process]:
        """All processes below it."""
        return psutil.Process(self.pid).children(recursive=True)

    def kill(self) -> None:
        """SIGKILL to `penstock dev` alone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        self._process.terminate()
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise WaitTimeout(f"penstock dev has not ended:\n{self.output}") from None
        self._reader.join()
        return code

    def close(self) -> None:
        """Stop it if it runs, by force in the end. For fixtures."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        for raw in self._process.stdout or ():
            with self._changed:
                self.notes.append(raw.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
