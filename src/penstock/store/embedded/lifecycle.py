"""The life of an embedded server: found or started, shared, stopped by the last one out.

What is the same for every kind of server is told here once; ``store.embedded`` has Valkey and
``runs.embedded`` PostgreSQL.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from penstock.core.errors import EmbeddedServerError
from penstock.store.embedded.lock import FileLock, pause

if TYPE_CHECKING:
    from penstock.store.embedded.child import ServerProcess
    from penstock.store.embedded.place import Endpoint, PrivateDirectory

#: How often to look whether a killed server is gone, at up to 20 ms; the rest is left to a thread.
_KILL_TURNS = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers, takes commands and works in the data directory."""

    pid: int
    endpoint: Endpoint
    is_ready: ClassVar[Literal[True]] = True


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why there is no such server yet; a clause for an error message."""

    reason: str
    is_ready: ClassVar[Literal[False]] = False


class EmbeddedServer(ABC):
    """A server for this machine that keeps its data, and everything else, in one directory."""

    def __init__(
        self,
        directory: PrivateDirectory,
        port: int | None,
        start_timeout_seconds: float,
        stop_timeout_seconds: float,
    ) -> None:
        """Nothing happens before ``start``."""
        self._directory = directory
        self._port = port
        self._start_timeout_seconds = start_timeout_seconds
        self._stop_timeout_seconds = stop_timeout_seconds
        self._users: FileLock | None = None
        self._process: ServerProcess | None = None
        self._running: Running | None = None
        self._obstacle = ""

    @abstractmethod
    def _prepare(self) -> None:
        """Find the programs and make the data directory; raises ``EmbeddedServerError``."""

    @abstractmethod
    async def _look(self) -> Running | NotReady:
        """Ask whoever the data directory points at whether it is the one, and ready."""

    @abstractmethod
    async def _launch(self, lock: FileLock) -> tuple[ServerProcess, Running]:
        """Start the server, which inherits the held ``lock``, and wait until it is ready."""

    @abstractmethod
    async def _ask_to_stop(self, endpoint: Endpoint) -> str:
        """Ask for an orderly end; returns why it goes on, if known."""

    @property
    def url(self) -> str:
        """What clients connect with; it carries a password, so keep it out of logs."""
        return self._server.endpoint.url

    @property
    def pid(self) -> int:
        """The server's process id, as it said itself."""
        return self._server.pid

    @property
    def adopted(self) -> bool:
        """Whether the server was already running when this object was started."""
        return self._running is not None and self._process is None

    def has_ended(self) -> bool:
        """Whether the server that was started or found is gone; ``False`` when not started."""
        return self._running is not None and self._stopped()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Use the server of the data directory, starting it if none runs; returns when it is ready.

        Raises:
            EmbeddedServerError: it cannot be started or found in time, the data directory cannot
                be used, or this object is started already. Nothing is left running then.
        """
        if self._users is not None:
            raise EmbeddedServerError(f"This {type(self).__name__} is started already; call stop() first.")
        await asyncio.to_thread(self._prepare)
        self._users = FileLock(self._directory.users_lock)
        try:
            async with asyncio.timeout(self._start_timeout_seconds):
                await self._join(self._users)
                self._running = await self._find_or_launch()
        except TimeoutError:
            raise self._not_in_time() from None
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot write in the data directory {self._directory.path}: {error.strerror}."
            ) from error
        finally:
            if self._running is None:
                self._forget()

    async def stop(self) -> None:
        """Stop using the server, and stop it if nobody else uses it; its data stays.

        Does nothing when not started.

        Raises:
            EmbeddedServerError: a server that another process started did not stop in time.
        """
        if self._users is None:
            return
        try:
            # Whoever still uses the server holds this lock shared, and will be the last one out.
            if self._users.try_exclusive():
                await self._shut_down()
        finally:
            self._forget()

    @property
    def _server(self) -> Running:
        if self._running is None:
            raise EmbeddedServerError(f"This {type(self).__name__} is not started; call start() first.")
        return self._running

    async def _join(self, users: FileLock) -> None:
        turn = 0
        while not users.try_shared():
            self._report("another process is stopping it")
            await pause(turn)
            turn += 1

    async def _find_or_launch(self) -> Running:
        """Find the server that holds the server lock, or take the lock and start one with it."""
        turn = 0
        held = f"another process holds {self._directory.server_lock}"
        self._report(held)
        with FileLock(self._directory.server_lock) as lock:
            while not lock.try_exclusive():
                answer = await self._look()
                if answer.is_ready:
                    return self._accepted(answer)
                self._report(f"{held}, but {answer.reason}")
                await pause(turn)
                turn += 1
            process, running = await self._launch(lock)
        self._process = process
        with FileLock(self._directory.server_lock) as probe:
            if probe.try_exclusive():
                process.kill()
                raise EmbeddedServerError(
                    f"The file system of {self._directory.path} does not let a server keep its "
                    f"lock. Choose a data directory on a local file system."
                )
        return running

    def _report(self, obstacle: str) -> None:
        """Keep what is being waited for, in case the wait is given up."""
        self._obstacle = obstacle

    def _accepted(self, found: Running) -> Running:
        if self._port not in {None, found.endpoint.port}:
            raise EmbeddedServerError(
                f"The server of {self._directory.path} already runs on port "
                f"{found.endpoint.port}, not on {self._port}. Use that port, or stop it first."
            )
        return found

    async def _shut_down(self) -> None:
        """Ask the server to stop until it has; the caller holds the users lock alone."""
        # Another user may have started it again after a crash, on another port.
        endpoint = self._directory.read_endpoint() or self._server.endpoint
        turn = 0
        try:
            async with asyncio.timeout(self._stop_timeout_seconds):
                while not self._stopped():
                    self._report(await self._ask_to_stop(endpoint))
                    await pause(turn)
                    turn += 1
        except TimeoutError:
            await self._end_stubborn()

    def _stopped(self) -> bool:
        if self._process is not None and not self._process.ended():
            return False
        if not self._directory.server_lock.exists():
            return True
        with FileLock(self._directory.server_lock) as lock:
            return lock.try_exclusive()

    async def _end_stubborn(self) -> None:
        seconds, reason = self._stop_timeout_seconds, self._obstacle or "it gives no reason"
        if self._process is None or self._process.ended():
            raise EmbeddedServerError(
                f"The server of {self._directory.path} did not stop within {seconds:g} s "
                f"({reason}). It said its process id was {self._server.pid}; end it by hand."
            )
        logger.warning("embedded server killed: no stop within %g s (%s)", seconds, reason)
        self._process.kill()
        for turn in range(_KILL_TURNS):
            if self._process.ended():
                return
            await pause(turn)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.reap_later()
        if self._users is not None:
            self._users.close()
        self._users = self._process = self._running = None

    def _not_in_time(self) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"The embedded server of {self._directory.path} was not ready within "
            f"{self._start_timeout_seconds:g} s: {self._obstacle}. Last lines of its log:\n"
            f"{self._directory.log_tail() or '  (empty)'}"
        )
