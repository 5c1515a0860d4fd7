"""When a worker process has done enough or grown too large, and should make room for a fresh one."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from penstock.core.errors import ConfigurationError

BYTES_A_MEGABYTE: Final = 1024 * 1024
LOOK_EVERY_SECONDS: Final = 1.0

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The memory this process holds; where the system does not say, the most it ever held."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


class Recycler:
    """Asks a worker to stop once it has begun ``max_jobs`` jobs or holds more than ``max_rss_mb`` MB."""

    def __init__(
        self, max_jobs: int | None, max_rss_mb: float | None, ask_to_stop: Callable[[str], None]
    ) -> None:
        """``None`` is no limit; ``ask_to_stop`` hears the reason. Raises ``ConfigurationError``."""
        for name, value in (("max_jobs", max_jobs), ("max_rss_mb", max_rss_mb)):
            if value is not None and (isinstance(value, bool) or not value > 0):
                raise ConfigurationError(
                    f"{name} must be more than 0, got {value!r}; leave it out for no limit"
                )
        self._max_jobs = max_jobs
        self._max_rss_mb = max_rss_mb
        self._ask_to_stop = ask_to_stop
        self._begun = 0
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> list[asyncio.Task[None]]:
        """Begin counting anew, and to look at the memory; returns the task that does.

        Raises ``ConfigurationError`` when the process holds more already, before any job.
        """
        self._begun = 0
        if self._max_rss_mb is None:
            return []
        held = resident_bytes()
        if held > self._max_rss_mb * BYTES_A_MEGABYTE:
            raise ConfigurationError(
                f"max_rss_mb is {self._max_rss_mb:g}, and the process holds {held // BYTES_A_MEGABYTE} MB "
                "before its first job: allow for that and for what the jobs need"
            )
        self._watch = asyncio.create_task(self._watch_memory(self._max_rss_mb), name="recycler")
        return [self._watch]

    async def stop(self) -> None:
        """Stop looking."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    def count(self, jobs: int) -> None:
        """Note that so many jobs more have begun."""
        self._begun += jobs
        if self._max_jobs is not None and self._begun >= self._max_jobs:
            self._ask_to_stop(f"it has begun {self._begun} jobs, max_jobs is {self._max_jobs}")

    async def _watch_memory(self, max_rss_mb: float) -> None:
        while (held := resident_bytes()) <= max_rss_mb * BYTES_A_MEGABYTE:  # noqa: ASYNC110 - it grows unheard
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        self._ask_to_stop(f"it holds {held // BYTES_A_MEGABYTE} MB, max_rss_mb is {max_rss_mb:g}")
