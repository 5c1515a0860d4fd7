"""The toolbox as pydantic-ai tools, each call a durable step of the job."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.tools import Tool

from penstock.executors.agent.toolbox import Toolbox, ToolResult
from penstock.worker.context import JobContext


@dataclass(slots=True)
class ToolLog:
    """What the tools of one step did: which were called, and which files they wrote, by name."""

    called: list[str] = field(default_factory=list)
    written: dict[str, dict[str, Any]] = field(default_factory=dict)


def durable_tools(toolbox: Toolbox, ctx: JobContext, step: str, log: ToolLog) -> list[Tool[object]]:
    """The tools of ``toolbox`` for one agent, whose calls are steps named ``<step>: <tool>-<number>``.

    A call that was answered is answered from the store. One that cannot be done answers
    ``{"error": reason}``: that too is stored, so that the model that corrects itself does so once.
    """
    # One after the other: the numbers of the steps must come out the same each time.
    return [Tool(_durable(tool, ctx, step, log), takes_ctx=False, sequential=True) for tool in toolbox.tools]


def _durable(tool: Callable[..., ToolResult], ctx: JobContext, step: str, log: ToolLog) -> Callable[..., Any]:
    name = tool.__name__
    signature = inspect.signature(tool)

    @functools.wraps(tool)
    async def call(*positional: Any, **named: Any) -> ToolResult:
        arguments = dict(signature.bind(*positional, **named).arguments)
        log.called.append(name)

        async def attempt() -> ToolResult:
            try:
                return await asyncio.to_thread(tool, **arguments)
            except ValueError as error:
                return {"error": str(error)}

        result: ToolResult = await ctx.step(
            f"{step}: {name}-{log.called.count(name)}", attempt, inputs=arguments
        )
        if name == "write_file" and "error" not in result:
            log.written[result["name"]] = {**result, "text": arguments["text"]}
        return result

    return call
