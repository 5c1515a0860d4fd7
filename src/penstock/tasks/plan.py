"""What the attempts of a task need from its worker, in the order in which it is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

from penstock.core.errors import ConfigurationError
from penstock.tasks.markers import ContextWanted, Dependency, Provider, Scope
from penstock.tasks.provision import provide
from penstock.worker.context import JobContext
from penstock.worker.resources import Resources

_CONTEXT: Final = object()


class Source(NamedTuple):
    """Where the value of a parameter is found: by its key among the job's values or the worker's."""

    scope: Scope
    key: Any


class Step(NamedTuple):
    """One provider to call, with what."""

    provider: Provider
    parameters: tuple[tuple[str, Source], ...]


class Plan:
    """The providers of one task for one worker; those of scope ``worker`` are asked of ``resources``."""

    def __init__(
        self, task: str, provided: Mapping[str, Dependency | ContextWanted], resources: Resources
    ) -> None:
        """Find all that ``provided`` needs; raises ``ConfigurationError`` for what nothing provides."""
        self._task = task
        self._resources = resources
        self._steps: dict[Any, Step] = {}
        self._parameters = tuple(
            (name, self._source(marker, None, name)) for name, marker in provided.items()
        )

    @property
    def is_empty(self) -> bool:
        """Whether the task needs nothing."""
        return not self._parameters

    async def make(self, stack: AsyncExitStack, context: JobContext) -> dict[str, Any]:
        """The provided arguments of one attempt; ``stack`` closes what was made for it."""
        made: dict[Any, Any] = {_CONTEXT: context}
        for key, step in self._steps.items():
            arguments = self._arguments(step.parameters, made)
            made[key] = await provide(step.provider, arguments, stack, self._resources.threads)
        return self._arguments(self._parameters, made)

    def _arguments(
        self, parameters: tuple[tuple[str, Source], ...], made: Mapping[Any, Any]
    ) -> dict[str, Any]:
        kept = self._resources.values
        return {name: (made if scope == "job" else kept)[key] for name, (scope, key) in parameters}

    def _source(self, marker: Dependency | ContextWanted, within: Scope | None, where: str) -> Source:
        """How to come by what ``marker`` wants, for a task (``None``) or for a provider of a scope."""
        if isinstance(marker, ContextWanted):
            if within == "worker":
                raise ConfigurationError(
                    f"task {self._task!r}: {where} asks for the current job, "
                    'but belongs to the worker (scope="worker"), which has none'
                )
            return Source("job", _CONTEXT)
        if within == "worker" and marker.scope == "job":
            raise ConfigurationError(
                f"task {self._task!r}: {where} lives as long as the worker and cannot depend on "
                f"{_name_of(marker.provider)}, which is made for each job"
            )
        scope = marker.scope or within or "job"
        provider = self._resources.overrides.get(marker.provider, marker.provider)
        step = Step(provider, self._parameters_of(provider, scope))
        if scope == "worker":
            self._need(step)
        else:
            self._steps.setdefault(provider, step)
        return Source(scope, provider)

    def _parameters_of(self, provider: Provider, scope: Scope) -> tuple[tuple[str, Source], ...]:
        found = []
        for parameter in _signature_of(provider, self._task).parameters.values():
            where = f"{parameter.name!r} of {_name_of(provider)}"
            if isinstance(parameter.default, Dependency | ContextWanted):
                found.append((parameter.name, self._source(parameter.default, scope, where)))
            elif parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                raise ConfigurationError(
                    f"task {self._task!r}: nothing provides {where}; "
                    "give it a default: Depends(...), CurrentJob() or a value"
                )
        return tuple(found)

    def _need(self, step: Step) -> None:
        async def make(stack: AsyncExitStack, resources: Resources) -> Any:
            arguments = {name: resources.values[source.key] for name, source in step.parameters}
            return await provide(step.provider, arguments, stack, resources.threads)

        self._resources.need(step.provider, _name_of(step.provider), make)


def _signature_of(provider: Provider, task: str) -> inspect.Signature:
    try:
        return inspect.signature(provider)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"task {task!r}: the parameters of {_name_of(provider)} cannot be read: {error}; "
            "wrap it in a function"
        ) from None


def _name_of(provider: Provider) -> str:
    return getattr(provider, "__qualname__", None) or repr(provider)
