"""How the offline model works: a line of tool calls that is taken up again from the results so far.

A piece of work is a generator that yields calls and gets their results. The model is asked anew after
each call and keeps nothing in memory: it runs the generator from its start through the results that
the conversation holds, up to the next call or the end.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias


class CannotDo(Exception):  # noqa: N818 - a finding of the work, answered with a refusal
    """The step cannot be done; the message says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool to be called."""

    tool: str
    arguments: dict[str, Any]
    #: Whether the work goes on when the tool cannot do it; it then gets ``{"error": reason}``.
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a piece of work: its result as text, and the files it is about."""

    result: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Earlier:
    """A finished step, as the conversation shows it."""

    name: str
    result: str
    files: tuple[str, ...] = field(default_factory=tuple)


Work: TypeAlias = Generator[Call, dict[str, Any], Done]


def advance(work: Work, results: Sequence[dict[str, Any]]) -> Call | Done:
    """Run ``work`` through the results so far; raises ``CannotDo`` when a tool could not do its part."""
    try:
        call = next(work)
        for result in results:
            if "error" in result and not call.may_fail:
                raise CannotDo(str(result["error"]))
            call = work.send(result)
    except StopIteration as end:
        done: Done = end.value
        return done
    return call
