"""A task at the worker: arguments in, the function where it belongs, the result out."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from penstock.core.errors import ConfigurationError
from penstock.tasks.plan import Plan
from penstock.tasks.signature import TaskSignature
from penstock.worker.context import JobContext
from penstock.worker.dispatch import Place
from penstock.worker.handlers import HandlerKind

RunIn: TypeAlias = Literal["loop", "thread", "process"]

_KINDS: Final = {
    "loop": HandlerKind.LOOP,
    "thread": HandlerKind.PREPARED,
    "process": HandlerKind.PREPARED,
}


@dataclass(frozen=True, slots=True)
class TaskInProcess:
    """Where another process finds a task, as it cannot be sent there itself."""

    module: str
    qualified_name: str

    def __call__(self, given: tuple[Any, dict[str, Any]]) -> Any:
        """Run the task's function on a payload and provided arguments; its result as JSON values."""
        found: Any = importlib.import_module(self.module)
        for part in self.qualified_name.split("."):
            found = getattr(found, part)
        payload, provided = given
        signature: TaskSignature = found.signature
        return signature.to_result(found.function(**signature.from_payload(payload), **provided))


def make_handler(
    function: Callable[..., Any], signature: TaskSignature, plan: Plan, run_in: RunIn
) -> tuple[Callable[..., Awaitable[Any]], HandlerKind]:
    """What the dispatcher calls for a task, and of which kind it is."""
    makers = {"loop": _on_loop, "thread": _in_thread, "process": _in_process}
    call = makers[run_in](function, signature)
    return (call if plan.is_empty else _with_plan(call, plan)), _KINDS[run_in]


def _on_loop(function: Callable[..., Any], signature: TaskSignature) -> Callable[..., Awaitable[Any]]:
    load, dump = signature.from_payload, signature.to_result

    async def call(context: JobContext, **provided: Any) -> Any:
        return dump(await function(**load(context.payload), **provided))

    return call


def _in_thread(function: Callable[..., Any], signature: TaskSignature) -> Callable[..., Awaitable[Any]]:
    load, dump = signature.from_payload, signature.to_result

    async def call(context: JobContext, place: Place, **provided: Any) -> Any:
        arguments = load(context.payload)
        return dump(await place.in_thread(partial(function, **arguments, **provided)))

    return call


def _in_process(function: Callable[..., Any], signature: TaskSignature) -> Callable[..., Awaitable[Any]]:
    task = TaskInProcess(function.__module__, function.__qualname__)

    async def call(context: JobContext, place: Place, **provided: Any) -> Any:
        # Read here too: what does not fit is said without starting a process.
        signature.from_payload(context.payload)
        return await place.in_process(task, (context.payload, provided))

    return call


def _with_plan(call: Callable[..., Awaitable[Any]], plan: Plan) -> Callable[..., Awaitable[Any]]:
    async def call_with(context: JobContext, *place: Place) -> Any:
        async with AsyncExitStack() as stack:
            provided = await plan.make(stack, context)
            return await call(context, *place, **provided)

    return call_with


def check_process_function(function: Callable[..., Any], name: str, wants_context: bool) -> None:
    """Refuse a function that cannot run in another process with ``ConfigurationError``."""
    if "<locals>" in function.__qualname__ or "<lambda>" in function.__qualname__:
        raise ConfigurationError(
            f'task {name!r}: run_in="process" needs a function that can be imported by name: '
            "define it at the top of a module"
        )
    if wants_context:
        raise ConfigurationError(
            f'task {name!r}: run_in="process" cannot have CurrentJob(): '
            "the context stays with the worker; take what is needed from it as an argument"
        )
