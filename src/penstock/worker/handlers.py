"""What a handler may be, and where each kind runs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from penstock.core.errors import ConfigurationError
from penstock.core.names import check_job_type
from penstock.worker.context import JobContext
from penstock.worker.process_crew import ProcessCrew
from penstock.worker.thread_crew import ThreadCrew

Handler: TypeAlias = "Callable[[JobContext], Awaitable[Any] | Any] | ProcessHandler"
Handlers: TypeAlias = "Mapping[str, Handler] | Handler"


@dataclass(frozen=True, slots=True)
class ProcessHandler:
    """A function of the payload that runs in a process of its own; see ``in_process``."""

    function: Callable[[Any], Any]


def in_process(function: Callable[[Any], Any]) -> ProcessHandler:
    """Run ``function(payload)`` in a process of its own: for work that burns CPU or holds the GIL.

    The function must be importable by name (defined at the top of a module); it gets the payload
    and returns JSON. The process is killed when the job is cancelled or takes longer than its
    timeout, and ends with its worker.
    """
    return ProcessHandler(function)


class HandlerKind(Enum):
    """Where a handler runs."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"


class HandlerTable:
    """The handlers of one worker, by job type, and the pools that run those that block."""

    def __init__(self, handlers: Handlers, max_concurrent: int) -> None:
        """Check the handlers; raise ``ConfigurationError`` for one that cannot be called."""
        self._one = None if isinstance(handlers, Mapping) else _checked(handlers, "the handler")
        self._by_type = {
            check_job_type(kind): _checked(handler, f"the handler of {kind!r}")
            for kind, handler in (handlers.items() if isinstance(handlers, Mapping) else ())
        }
        if self._one is None and not self._by_type:
            raise ConfigurationError("a worker needs at least one handler")
        self._max_concurrent = max_concurrent
        self.threads = ThreadCrew()
        self._processes: ProcessCrew | None = None

    @property
    def types(self) -> list[str]:
        """The job types with a handler; empty when one handler takes every type."""
        return sorted(self._by_type)

    def find(self, job_type: str) -> tuple[Handler, HandlerKind] | None:
        """The handler for ``job_type`` and where it runs, or ``None``."""
        return self._one or self._by_type.get(job_type)

    async def run_in_thread(self, handler: Callable[[JobContext], Any], context: JobContext) -> Any:
        """Run a plain function in a thread of its own."""
        return await self.threads.run(handler, context)

    async def run_in_process(self, handler: ProcessHandler, payload: Any) -> Any:
        """Run a function in a process of its own; one that dies raises ``ProcessDied``."""
        if self._processes is None:
            self._processes = ProcessCrew(min(self._max_concurrent, os.cpu_count() or 1), self.threads)
        return await self._processes.run(handler.function, payload)

    def close(self) -> None:
        """Let threads and processes go without waiting for what still runs in them."""
        if self._processes is not None:
            self._processes.close()
            self._processes = None
        self.threads.close()


def _checked(handler: Any, what: str) -> tuple[Handler, HandlerKind]:
    if isinstance(handler, ProcessHandler):
        return handler, HandlerKind.PROCESS
    if not callable(handler):
        raise ConfigurationError(
            f"{what} is {type(handler).__name__}, "
            "expected an async function, a function or in_process(function)"
        )
    is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - asks whether an object's call is async
    )
    return handler, HandlerKind.LOOP if is_async else HandlerKind.THREAD
