"""Options that several commands share, and running a command's coroutine."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

Value = TypeVar("Value")

QueueOption = Annotated[str, typer.Option("--queue", "-q", metavar="NAME", help="The queue's name.")]
RedisUrlOption = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        metavar="URL",
        help="Server to use instead of the one in PENSTOCK_REDIS_URL or REDIS_URL.",
        show_default=False,
    ),
]
LogLevelOption = Annotated[
    str, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def checked_level(level: str) -> str:
    """The level if it is one; ends the command as wrongly used otherwise."""
    levels = ("debug", "info", "warning", "error")
    if level.lower() not in levels:
        raise typer.BadParameter(f"{level!r} is not one of {', '.join(levels)}.", param_hint="--log-level")
    return level


def run(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Run a coroutine to its end on the fastest event loop that is installed."""
    import asyncio
    import gc

    # What is loaded by now stays for good: the collector need not walk it again and again.
    gc.freeze()
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)
    return uvloop.run(coroutine)
