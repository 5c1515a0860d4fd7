"""``@task``: a function whose calls can be enqueued, type-checked against its signature."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, Unpack, overload

from penstock.core.errors import ConfigurationError
from penstock.core.job import Job
from penstock.core.names import check_job_type, check_queue_name
from penstock.core.retry import RetryPolicy
from penstock.tasks.bridge import run_blocking
from penstock.tasks.handle import JobHandle
from penstock.tasks.loops import queue_here
from penstock.tasks.markers import ContextWanted
from penstock.tasks.options import (
    CallOptions,
    TaskOptions,
    check_options,
    check_templates,
    enqueue_options,
    make_job,
)
from penstock.tasks.plan import Plan
from penstock.tasks.running import RunIn, check_process_function, make_handler
from penstock.tasks.signature import TaskSignature
from penstock.worker.current import CurrentQueue
from penstock.worker.handlers import Found
from penstock.worker.resources import Resources

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
WhereToRun: TypeAlias = 'Literal["auto"] | RunIn'


class TaskCall(Generic[Parameters, Result]):
    """A task with options for one call or several: what ``task.options(...)`` answers."""

    def __init__(self, task: Task[Parameters, Result], options: Mapping[str, Any]) -> None:
        """Made by ``Task.options``."""
        self._task = task
        self._options = options

    async def enqueue(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JobHandle[Result]:
        """Enqueue a call with these arguments and return the handle of its job.

        Raises ``TaskArgumentError`` (a ``TypeError``) for arguments that do not fit the signature,
        and what ``queue.enqueue`` raises.
        """
        job = self._make(args, kwargs)
        queue = await queue_here()
        job_id = await queue.enqueue(job, **enqueue_options(self._options))
        origin = CurrentQueue(queue, asyncio.get_running_loop())
        return JobHandle.made(job_id, str(job.queue_name), origin, self._task.signature)

    def enqueue_sync(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> JobHandle[Result]:
        """``enqueue`` for code without an event loop, from any thread; blocks until it is accepted.

        In a running event loop it works too and blocks the loop for that time: use ``enqueue`` there.
        """
        return run_blocking(self.enqueue(*args, **kwargs))

    def job(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Job:
        """The job of such a call, not enqueued: for ``enqueue_many``, chains and groups.

        Raises ``TaskArgumentError`` as ``enqueue`` does, and ``ConfigurationError`` when the options
        say when or how to enqueue, which no job can carry.
        """
        stray = sorted(enqueue_options(self._options))
        if stray:
            raise ConfigurationError(
                f"task {self._task.name!r}: {stray[0]} cannot be kept in a job; "
                "give it to enqueue or enqueue_many of the queue"
            )
        return self._make(args, kwargs)

    def _make(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
        signature = self._task.signature
        arguments = signature.bind(args, kwargs)
        payload = signature.to_payload(arguments)
        return make_job(self._task.name, payload, self._options, signature.with_defaults(arguments))


class Task(TaskCall[Parameters, Result]):
    """A function decorated with ``@task``: called it runs here, enqueued it runs at a worker."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        run_in: RunIn,
        retry: RetryPolicy | None,
        options: TaskOptions,
    ) -> None:
        """Made by ``@task``; raises ``ConfigurationError`` for a function that cannot be one."""
        self.function = function
        self.name = check_job_type(name)
        self.run_in = run_in
        self.retry = retry
        self.signature = TaskSignature(function, name)
        self.queue = check_queue_name(options.get("queue", "default"))
        options = {**options, "queue": self.queue}
        if retry is not None:
            options.setdefault("max_attempts", retry.max_attempts)
        self._check(options)
        super().__init__(self, options)
        functools.update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<task {self.name} on queue {self.queue}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, here and now."""
        return self.function(*args, **kwargs)

    def options(self, **options: Unpack[CallOptions]) -> TaskCall[Parameters, Result]:
        """This task with other options: ``await send.options(delay_seconds=60).enqueue(to="x")``.

        Raises ``ConfigurationError`` for an option that does not exist.
        """
        check_options(options, CallOptions, f"task {self.name!r}")
        check_templates(options, self.signature.given, f"task {self.name!r}")
        return TaskCall(self, {**self._options, **options})

    def found_by(self, resources: Resources) -> Found:
        """The handler for one worker; called by the worker."""
        plan = Plan(self.name, self.signature.provided, resources)
        handler, kind = make_handler(self.function, self.signature, plan, self.run_in)
        return Found(handler, kind, self.retry)

    def _check(self, options: TaskOptions) -> None:
        check_templates(options, self.signature.given, f"task {self.name!r}")
        is_async = inspect.iscoroutinefunction(self.function)
        if is_async != (self.run_in == "loop"):
            what = "an async function" if is_async else "a plain function"
            raise ConfigurationError(
                f'task {self.name!r}: {what} cannot run in "{self.run_in}"; leave run_in out, or make '
                f"it {'a plain' if is_async else 'an async'} function"
            )
        if self.run_in == "process":
            wants_context = any(isinstance(each, ContextWanted) for each in self.signature.provided.values())
            check_process_function(self.function, self.name, wants_context)


class AsyncTask(Task[Parameters, Result]):
    """A task of an async function: calling it gives a coroutine."""

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Coroutine[Any, Any, Result]:
        """Call the function, here and now; await what it gives."""
        coroutine: Coroutine[Any, Any, Result] = self.function(*args, **kwargs)
        return coroutine


class PlainTask(Task[Parameters, Result]):
    """A task of a plain function: calling it gives its result."""

    def __call__(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Call the function, here and now."""
        result: Result = self.function(*args, **kwargs)
        return result


class TaskDecorator(Protocol):
    """What ``@task(...)`` with options answers: it makes a task of a function."""

    # The first that fits is taken, so that a coroutine function is never one that returns a coroutine.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Parameters, Coroutine[Any, Any, Result]]
    ) -> AsyncTask[Parameters, Result]: ...
    @overload
    def __call__(self, function: Callable[Parameters, Result]) -> PlainTask[Parameters, Result]: ...
    def __call__(self, function: Callable[..., Any]) -> Any:
        """Make a task of ``function``."""


@overload
def task(  # type: ignore[overload-overlap]
    function: Callable[Parameters, Coroutine[Any, Any, Result]], /
) -> AsyncTask[Parameters, Result]: ...
@overload
def task(function: Callable[Parameters, Result], /) -> PlainTask[Parameters, Result]: ...
@overload
def task(
    *,
    name: str | None = None,
    retry: RetryPolicy | None = None,
    run_in: WhereToRun = "auto",
    timeout: float | None = None,
    **options: Unpack[TaskOptions],
) -> TaskDecorator: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retry: RetryPolicy | None = None,
    run_in: WhereToRun = "auto",
    timeout: float | None = None,
    **options: Unpack[TaskOptions],
) -> Any:
    """Make a task of a function: ``@task`` alone, or ``@task(queue="mail", timeout_seconds=30)``.

    ``name`` is the type of its jobs, by default the function's name. ``retry`` wins over the worker's
    policy and gives ``max_attempts`` its default. ``run_in`` is where the function runs: async
    functions on the loop, plain ones in a thread, or in a ``"process"`` when they burn CPU.
    ``timeout`` is short for ``timeout_seconds``. See ``TaskOptions`` for the others.

    Raises ``ConfigurationError`` for an option that cannot work or a signature that cannot travel.
    """
    check_options(options, TaskOptions, "@task")
    if timeout is not None:
        options["timeout_seconds"] = timeout

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        if not hasattr(function, "__qualname__"):
            raise ConfigurationError(f"@task decorates functions, got {function!r}")
        is_async = inspect.iscoroutinefunction(function)
        where: RunIn = ("loop" if is_async else "thread") if run_in == "auto" else run_in
        kind: type[Task[..., Any]] = AsyncTask if is_async else PlainTask
        return kind(function, name or function.__name__, where, retry, options)

    return decorate if function is None else decorate(function)
