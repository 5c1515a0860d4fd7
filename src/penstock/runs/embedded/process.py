"""Making a cluster and starting PostgreSQL on it, under the held server lock."""

from __future__ import annotations

import functools
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.runs.embedded.conversation import look
from penstock.runs.embedded.directory import DEFAULT_SETTINGS, ROLE, DataDirectory, checked, seen_by
from penstock.store.embedded.child import (
    ServerProcess,
    finished,
    is_port_taken,
    port_taken,
    ports,
    ready,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from penstock.runs.embedded.account import Account
    from penstock.store.embedded.lifecycle import Running
    from penstock.store.embedded.lock import FileLock

#: A phrase of the server's log, and what its reader should do.
_ADVICE = {
    "No space left on device": "Make room on the disk",
    "could not locate a valid checkpoint record": "Its data is damaged. Put back a copy of "
    "{path}/cluster, or move that folder away to start empty",
    "is another postmaster": "Somebody started PostgreSQL on {path}/cluster by hand; stop that first",
    "unrecognized configuration parameter": "Correct the setting named below",
    "invalid value for parameter": "Correct the setting named below",
    "Permission denied": "Give its user the files in {path}/cluster",
}
#: Nothing of the caller's environment reaches the server: no secrets, no PG* variables.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}


class PostgresProcess(ServerProcess):
    """A ``postgres`` that this process started."""

    # The immediate shutdown: the server ends its own children, which SIGKILL would orphan.
    kill_signal = signal.SIGQUIT


@dataclass(frozen=True, slots=True)
class Start:
    """What a start is given: programs, whom they run as, the held lock, wishes."""

    programs: Path
    account: Account | None
    lock: FileLock
    port: int | None
    settings: Mapping[str, str]
    report: Callable[[str], None]

    @property
    def options(self) -> dict[str, Any]:
        """How children are started."""
        whom = {} if self.account is None else self.account.options
        return {"env": _ENVIRONMENT, **whom}


async def launch(directory: DataDirectory, start: Start) -> tuple[ServerProcess, Running]:
    """Start the server, on a new cluster if there is none, and wait until it takes commands.

    Without a port, the one of the last start is tried first, so that urls stay true, and then
    ports that were free a moment ago.

    Raises:
        EmbeddedServerError: it cannot be run, ends by itself, or the port is taken.
    """
    if directory.owner_id is None:
        start.report("it is making its cluster")
        await _make_cluster(directory, start)
    directory.check_cluster()
    for candidate in ports(directory, start.port):
        directory.write_endpoint(directory.make_endpoint(candidate))
        directory.forget_stale_pid()
        process = _spawn(directory, start, candidate)
        running = await ready(process, functools.partial(look, directory), start.report)
        if running is not None:
            return process, running
        if not is_port_taken(process):
            raise process.failure(_ADVICE)
    raise port_taken(candidate)


def _spawn(directory: DataDirectory, start: Start, port: int) -> ServerProcess:
    owned = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
    settings = {**DEFAULT_SETTINGS, **checked(start.settings), **owned}
    with seen_by(start.account, directory.cluster) as (place, descriptors):
        command: list[str | Path] = [start.programs / "postgres", "-D", place]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        keep = [start.lock.fileno(), *descriptors]
        return PostgresProcess.spawn(command, directory, keep, **start.options)


async def _make_cluster(directory: DataDirectory, start: Start) -> None:
    """Run ``initdb`` in the workshop; a cluster that is in its place is whole."""
    endpoint = directory.make_endpoint(0)
    directory.write_endpoint(endpoint)
    directory.open_workshop(start.account, endpoint.password)
    with seen_by(start.account, directory.workshop) as (place, descriptors):
        command: list[str | Path] = [
            start.programs / "initdb",
            f"--pgdata={place / 'cluster'}",
            f"--pwfile={place / 'password'}",
            f"--username={ROLE}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
            *(["--sync-method=syncfs"] if sys.platform == "linux" else []),
        ]
        process = ServerProcess.spawn(
            command, directory, [start.lock.fileno(), *descriptors], **start.options
        )
        await finished(process)
    if process.exit_code != 0:
        raise process.failure(_ADVICE)
    directory.close_workshop()
