"""Locks that the kernel keeps, so that no crash, recycled pid or stale file can forge one."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Self

from penstock.core.errors import EmbeddedServerError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """One ``flock`` on one file, which is made when missing and never removed.

    The lock belongs to the open file, not to a process: a child that inherits the descriptor
    holds it too, and it falls when the last of them is closed, which the kernel does for a
    process however it dies.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is opened until a lock is asked for."""
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_exclusive(self) -> bool:
        """Take the lock for this holder alone, if nobody else has it; never waits."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock beside other shared holders, unless one has it alone; never waits."""
        return self._try(fcntl.LOCK_SH)

    def fileno(self) -> int:
        """The descriptor to hand to a child that is to hold the lock as well."""
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, mode=0o600)
        return self._descriptor

    def close(self) -> None:
        """Let go, for this holder; children that inherited the lock keep it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fileno(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot lock {self._path}: {error.strerror}. The data directory must be on a "
                f"local file system, and this user must be allowed to write in it."
            ) from error
        return True


async def pause(turn: int) -> None:
    """Wait before looking again: 2 ms at turn 0, growing to 20 ms for waits that last."""
    await asyncio.sleep(min(0.002 * 1.25 ** min(turn, 20), 0.02))
