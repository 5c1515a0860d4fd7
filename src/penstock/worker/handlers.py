"""What a handler may be, and where each kind runs."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from penstock.core.errors import ConfigurationError
from penstock.core.names import check_job_type
from penstock.worker.context import JobContext

Handler: TypeAlias = "Callable[[JobContext], Awaitable[Any] | Any] | ProcessHandler"
Handlers: TypeAlias = "Mapping[str, Handler] | Handler"

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ProcessHandler:
    """A function of the payload that runs in a process of its own; see ``in_process``."""

    function: Callable[[Any], Any]


def in_process(function: Callable[[Any], Any]) -> ProcessHandler:
    """Run ``function(payload)`` in a process pool: for work that burns CPU or holds the GIL.

    The function must be importable by name (defined at the top of a module); it gets the payload
    and returns JSON. The processes end with their worker.
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
        self._threads: ThreadPoolExecutor | None = None
        self._processes: ProcessPoolExecutor | None = None

    @property
    def types(self) -> list[str]:
        """The job types with a handler; empty when one handler takes every type."""
        return sorted(self._by_type)

    def find(self, job_type: str) -> tuple[Handler, HandlerKind] | None:
        """The handler for ``job_type`` and where it runs, or ``None``."""
        return self._one or self._by_type.get(job_type)

    async def run_in_thread(self, handler: Callable[[JobContext], Any], context: JobContext) -> Any:
        """Run a plain function in a thread of its own."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._max_concurrent, thread_name_prefix="penstock-job")
        return await asyncio.get_running_loop().run_in_executor(self._threads, handler, context)

    async def run_in_process(self, handler: ProcessHandler, payload: Any) -> Any:
        """Run a function in the process pool; a process that dies raises ``BrokenProcessPool``."""
        if self._processes is None:
            self._processes = ProcessPoolExecutor(
                min(self._max_concurrent, os.cpu_count() or 1),
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_end_with_parent,
                initargs=(os.getpid(),),
            )
        pool = self._processes
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, handler.function, payload)
        except BrokenProcessPool:
            if self._processes is pool:
                self._processes = None
                pool.shutdown(wait=False)
            raise

    def close(self) -> None:
        """Let the pools go without waiting for what still runs in them."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            processes = list((self._processes._processes or {}).values())
            self._processes.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.terminate()


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


def _end_with_parent(parent: int) -> None:
    """Pool processes must not outlive a worker that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
