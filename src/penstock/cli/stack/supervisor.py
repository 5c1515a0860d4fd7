"""Keeps the services of a stack running: what dies is started anew, with a note."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from penstock.cli.stack.process import Echo, Service, ServiceProcess

SHORTEST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
LONG_LIFE_SECONDS: Final = 10.0


class Supervisor:
    """Runs services as child processes; when left, they are stopped, the last one after the others."""

    def __init__(
        self,
        services: Sequence[Service],
        environment: Mapping[str, str],
        directory: Path,
        *,
        tell: Callable[[str], None],
        echo: Echo,
    ) -> None:
        """`tell` hears notes for the user, `echo` each line that a service writes."""
        self._services = services
        self._environment = environment
        self._directory = directory
        self._tell = tell
        self._echo = echo
        self._watchers: list[asyncio.Task[None]] = []
        self.processes: list[ServiceProcess] = []

    async def __aenter__(self) -> Self:
        """Start all services; nothing is watched yet."""
        try:
            for service in self._services:
                self.processes.append(await self._start(service))
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all services."""
        await self._stop()

    def keep_alive(self) -> None:
        """From now on, start anew what ends."""
        self._watchers = [
            asyncio.create_task(self._watch(place), name=f"watch over {process.name}")
            for place, process in enumerate(self.processes)
        ]

    async def _watch(self, place: int) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while True:
            process, began = self.processes[place], time.monotonic()
            code = await process.ended()
            pause = SHORTEST_PAUSE_SECONDS if time.monotonic() - began > LONG_LIFE_SECONDS else pause * 2
            self._tell(f"{process.name} ended {_how(code)}; it is started anew.")
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))
            self.processes[place] = await self._start(process.service)

    async def _start(self, service: Service) -> ServiceProcess:
        return await ServiceProcess.start(service, self._environment, self._directory, self._echo)

    async def _stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        # The last one waits for the others: a keeper is to hear their last facts.
        for together in (self.processes[:-1], self.processes[-1:]):
            await asyncio.gather(*(process.stop() for process in together))


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with code {code}"
