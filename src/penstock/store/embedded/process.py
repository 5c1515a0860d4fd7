"""Starting a Valkey under the held server lock."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from penstock.store.embedded.allocator import environment_for
from penstock.store.embedded.child import ServerProcess, is_port_taken, port_taken, ports, ready
from penstock.store.embedded.conversation import look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from penstock.store.embedded.directory import DataDirectory
    from penstock.store.embedded.lifecycle import Running
    from penstock.store.embedded.lock import FileLock

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
    environment = await asyncio.to_thread(environment_for, binary)
    for candidate in ports(directory, port):
        directory.configure(candidate, settings)
        process = ServerProcess.spawn(
            [binary, directory.config_file.name], directory, [lock.fileno()], env=environment
        )
        running = await ready(process, functools.partial(look, directory), report)
        if running is not None:
            return process, running
        if not is_port_taken(process):
            raise process.failure(_ADVICE)
    raise port_taken(candidate)
