"""What stands in a signature for a value that the worker provides: ``Depends`` and ``CurrentJob``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast, overload

from penstock.core.errors import ConfigurationError
from penstock.worker.context import JobContext

Value = TypeVar("Value")
Provider: TypeAlias = "Callable[..., Any]"
Scope: TypeAlias = 'Literal["job", "worker"]'


@dataclass(frozen=True, slots=True)
class Dependency:
    """The default of a parameter that ``provider`` fills; ``scope`` is ``None`` where none was named."""

    provider: Provider
    scope: Scope | None


@dataclass(frozen=True, slots=True)
class ContextWanted:
    """The default of a parameter that takes the attempt's ``JobContext``."""


@overload
def Depends(provider: Callable[..., AsyncIterator[Value]], *, scope: Scope | None = None) -> Value: ...
@overload
def Depends(provider: Callable[..., Coroutine[Any, Any, Value]], *, scope: Scope | None = None) -> Value: ...
@overload
def Depends(provider: Callable[..., Iterator[Value]], *, scope: Scope | None = None) -> Value: ...
@overload
def Depends(provider: Callable[..., Value], *, scope: Scope | None = None) -> Value: ...
def Depends(provider: Provider, *, scope: Scope | None = None) -> Any:  # noqa: N802 - reads as a type does
    """The default of a parameter whose value the worker gets from ``provider``.

    ``client: Client = Depends(get_client)``. A provider is a function, an async function, or a
    generator of either kind that yields the value once; what follows its ``yield`` runs after the
    job. Plain functions and generators run in a thread. Its own parameters may be dependencies in
    turn; one provider is called once a job, however many ask for it.

    ``scope="worker"`` makes the value once for a worker, before it claims its first job, and closes
    it when the worker has stopped. What such a provider depends on belongs to the worker as well.

    Raises ``ConfigurationError`` for what cannot be called, and for an unknown scope.
    """
    if not callable(provider):
        raise ConfigurationError(
            f"Depends({provider!r}): expected a function that provides the value; pass it without calling it"
        )
    if scope not in {None, "job", "worker"}:
        raise ConfigurationError(f"Depends: scope must be 'job' or 'worker', got {scope!r}")
    return Dependency(provider, scope)


def CurrentJob() -> JobContext:  # noqa: N802 - reads as a type does
    """The default of a parameter that takes the context of the job.

    ``ctx: JobContext = CurrentJob()``
    """
    return cast("JobContext", ContextWanted())
