"""What a handler may be, and where each kind runs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from penstock.core.errors import ConfigurationError
from penstock.core.names import check_job_type
from penstock.core.retry import RetryPolicy
from penstock.worker.context import JobContext
from penstock.worker.process_crew import ProcessCrew
from penstock.worker.resources import Resources
from penstock.worker.thread_crew import ThreadCrew

Handler: TypeAlias = "Callable[[JobContext], Awaitable[Any] | Any] | ProcessHandler | WorkerTask"
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
    """Where a handler runs. A prepared one is called on the loop and lets its function run elsewhere."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"
    PREPARED = "prepared"


class Found(NamedTuple):
    """A handler, where it runs, and the retry policy of its own if it has one."""

    handler: Any
    kind: HandlerKind
    policy: RetryPolicy | None = None


@runtime_checkable
class WorkerTask(Protocol):
    """What a worker needs to know of a task: its name, and the handler that it makes."""

    name: str

    def found_by(self, resources: Resources) -> Found:
        """The handler for one worker, which asks ``resources`` for what it needs at start."""


class HandlerTable:
    """The handlers of one worker, by job type, and the pools that run those that block."""

    def __init__(
        self,
        handlers: Handlers | None,
        max_concurrent: int,
        tasks: Iterable[WorkerTask] = (),
        resources: Resources | None = None,
    ) -> None:
        """Check the handlers; raise ``ConfigurationError`` for one that cannot be called."""
        self._resources = resources or Resources()
        self._one: Found | None = None
        self._by_type: dict[str, Found] = {}
        if isinstance(handlers, Mapping):
            for kind, handler in handlers.items():
                self._by_type[check_job_type(kind)] = self._checked(handler, f"the handler of {kind!r}")
        elif isinstance(handlers, WorkerTask):
            tasks = [handlers, *tasks]
        elif handlers is not None:
            self._one = self._checked(handlers, "the handler")
        for task in tasks:
            self._add(task)
        if self._one is None and not self._by_type:
            raise ConfigurationError("a worker needs at least one handler or task")
        self._max_concurrent = max_concurrent
        self.threads = ThreadCrew()
        self._processes: ProcessCrew | None = None

    @property
    def types(self) -> list[str]:
        """The job types with a handler of their own."""
        return sorted(self._by_type)

    def find(self, job_type: str) -> Found | None:
        """The handler for ``job_type``, or ``None``."""
        return self._by_type.get(job_type, self._one)

    def policy_of(self, job_type: str) -> RetryPolicy | None:
        """The retry policy that the handler of ``job_type`` brings along."""
        found = self.find(job_type)
        return None if found is None else found.policy

    async def run_in_process(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Run a function in a process of its own; one that dies raises ``ProcessDied``."""
        if self._processes is None:
            self._processes = ProcessCrew(min(self._max_concurrent, os.cpu_count() or 1), self.threads)
        return await self._processes.run(function, argument)

    def close(self) -> None:
        """Let threads and processes go without waiting for what still runs in them."""
        if self._processes is not None:
            self._processes.close()
            self._processes = None
        self.threads.close()

    def _add(self, task: WorkerTask) -> None:
        if not isinstance(task, WorkerTask):
            raise ConfigurationError(
                f"{task!r} is not a task: expected functions decorated with @task; "
                "plain handlers go into `handlers`"
            )
        if task.name in self._by_type:
            raise ConfigurationError(
                f"two handlers are called {task.name!r}: give one of the tasks a name, @task(name=...)"
            )
        self._by_type[check_job_type(task.name)] = task.found_by(self._resources)

    def _checked(self, handler: Any, what: str) -> Found:
        if isinstance(handler, WorkerTask):
            return handler.found_by(self._resources)
        if isinstance(handler, ProcessHandler):
            return Found(handler, HandlerKind.PROCESS)
        if not callable(handler):
            raise ConfigurationError(
                f"{what} is {type(handler).__name__}, "
                "expected an async function, a function, a task or in_process(function)"
            )
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004 - asks whether an object's call is async
        )
        return Found(handler, HandlerKind.LOOP if is_async else HandlerKind.THREAD)
