"""Tasks that the tests enqueue, in a module that worker processes can import too."""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from penstock import CurrentJob, Depends, JobContext, RetryPolicy, task


class Order(BaseModel):
    """An order; its id is made where it is not given."""

    items: list[str]
    number: str = Field(default_factory=lambda: os.urandom(4).hex())


@dataclass
class Place:
    """Where an order goes."""

    town: str
    code: bytes = b""


@task
async def greet(name: str, times: int = 1) -> str:
    """Greet somebody."""
    return " ".join([f"Hello {name}!"] * times)


@task(queue="mail", max_attempts=5, priority=2, timeout=30)
async def ship(
    order: Order, place: Place, at: datetime, tags: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Say what arrived, with the types that it had."""
    return {
        "order": order,
        "types": [type(value).__name__ for value in (order, place, at, tags)],
        "code": place.code,
        "tags": sorted(tags),
    }


@task
def name_of_thread(prefix: str) -> str:
    """Say in which thread this runs."""
    return f"{prefix}:{threading.current_thread().name}"


@task(run_in="process")
def square(number: int) -> tuple[int, int]:
    """Compute in a process, and say in which."""
    return number * number, os.getpid()


@task(run_in="process")
def add_offset(number: int, offset: int = Depends(lambda: 100)) -> int:
    """Compute in a process from what the worker provides."""
    return number + offset


@task(retry=RetryPolicy(4, base_delay_seconds=0.02, jitter=False))
async def falter(until: int, ctx: JobContext = CurrentJob()) -> int:
    """Fail until that attempt."""
    if ctx.attempt < until:
        raise ConnectionError("not yet")
    return ctx.attempt


@task
async def echo(value: UUID | None) -> UUID | None:
    """Answer what is given."""
    return value


class Log:
    """What happened, in order; a provider of its own in each test."""

    def __init__(self) -> None:
        self.lines: list[str] = []


def get_log() -> Log:
    """A log that nobody reads; tests override it."""
    return Log()


async def get_pool(log: Log = Depends(get_log)) -> AsyncIterator[str]:
    """Made once for a worker."""
    log.lines.append("pool opened")
    yield "pool"
    log.lines.append("pool closed")


async def get_session(
    pool: str = Depends(get_pool, scope="worker"),
    log: Log = Depends(get_log, scope="worker"),
    ctx: JobContext = CurrentJob(),
) -> AsyncIterator[str]:
    """Made for each job."""
    log.lines.append(f"session of {ctx.id} opened")
    try:
        yield f"{pool}/session"
    except ValueError:
        log.lines.append(f"session of {ctx.id} rolled back")
        raise
    log.lines.append(f"session of {ctx.id} closed")


def get_cursor(session: str = Depends(get_session)) -> Iterator[str]:
    """A plain generator on top of an async one."""
    yield f"{session}/cursor in {threading.current_thread().name.split('-')[0]}"


@task
async def query(
    text: str,
    cursor: str = Depends(get_cursor),
    session: str = Depends(get_session),
    log: Log = Depends(get_log, scope="worker"),
) -> str:
    """Use all of them."""
    log.lines.append(f"query {text}")
    if text == "bad":
        raise ValueError("bad query")
    return f"{session} {cursor}"
