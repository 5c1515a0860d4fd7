"""Resources: what a worker makes once when it starts, and closes when it has stopped."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from penstock.core.errors import DependencyError
from penstock.worker.thread_crew import ThreadCrew

#: Makes one resource, given those made before it, and leaves on the stack how it is closed.
MakeResource: TypeAlias = "Callable[[AsyncExitStack, Resources], Awaitable[Any]]"

logger = logging.getLogger("penstock.worker")


class Resources:
    """The resources of one worker by what makes them, each made once however many tasks need it.

    ``overrides`` says what to use in place of a provider, in tests say.
    """

    def __init__(self, overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None) -> None:
        """Nothing is made yet."""
        self.overrides: Mapping[Callable[..., Any], Callable[..., Any]] = overrides or {}
        self.values: dict[Any, Any] = {}
        #: Where plain functions that provide something run, so that they may block.
        self.threads = ThreadCrew()
        self._makers: dict[Any, tuple[str, MakeResource]] = {}
        self._stack = AsyncExitStack()

    def need(self, key: Any, name: str, make: MakeResource) -> None:
        """Have the resource ``key`` made at start, after those that were asked for before."""
        self._makers.setdefault(key, (name, make))

    async def open(self) -> None:
        """Make all resources; ``DependencyError`` names the one that failed, after the others were closed."""
        for key, (name, make) in self._makers.items():
            try:
                self.values[key] = await make(self._stack, self)
            except Exception as error:
                await self.close()
                raise DependencyError(
                    f"the worker cannot start: its dependency {name} failed with "
                    f"{type(error).__name__}: {error}"
                ) from error
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Close what was made, the last first. One that fails to close is logged; the others are closed."""
        stack, self._stack = self._stack, AsyncExitStack()
        self.values.clear()
        try:
            await stack.aclose()
        except Exception:
            logger.exception("a dependency of the worker failed while it was closed")
        finally:
            self.threads.close()
