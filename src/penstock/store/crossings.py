"""Parents and children on different queues: the child is linked there, and told here by way of workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from penstock.core.errors import MissingParentError
from penstock.store.connect import translated
from penstock.store.engine import Engine
from penstock.store.reach import Reach
from penstock.store.script_calls import BATCH


def parents_abroad(parents: Sequence[str]) -> list[tuple[str, str]]:
    """The parents on other queues as ``(queue, id)``; each is written ``queue/id``."""
    return [(queue, job_id) for queue, slash, job_id in (each.partition("/") for each in parents) if slash]


async def check_parents_abroad(reach: Reach, child: str, parents: Sequence[str]) -> None:
    """Raise ``MissingParentError`` for a parent that its queue does not keep."""
    for queue, job_id in parents_abroad(parents):
        engine = reach.engine(queue)
        with translated(engine.where):
            is_kept = await cast("Any", engine.client.exists(engine.keys.job + job_id))
        if not is_kept:
            raise MissingParentError(
                f"job {child} waits for job {job_id} on queue {queue}, which does not keep it: "
                "enqueue the parent first"
            )


async def link_parents_abroad(reach: Reach, queue_name: str, child: str, parents: Sequence[str]) -> None:
    """Have parents on other queues tell ``child`` when they end; those that have are heard at once.

    Safe to repeat: the child is accepted before, and listens to each parent once.
    """
    for queue, job_id in parents_abroad(parents):
        ((status, body),) = await reach.engine(queue).link([(job_id, f"{queue_name}/{child}")])
        if status != "linked":
            await reach.engine(queue_name).tell([(child, f"{queue}/{job_id}", status, body)])


class Ferry:
    """Carries endings of one queue's jobs to their children on others.

    An ending stays until its children have been told; a ferry that dies repeats, and children listen once.
    """

    def __init__(self, reach: Reach, queue_name: str) -> None:
        """Carry what ``queue_name`` has to tell."""
        self._reach = reach
        self._queue_name = queue_name

    async def carry(self) -> int:
        """Tell all that waits to be told; returns how many children were."""
        home = self._reach.engine(self._queue_name)
        told = 0
        while endings := await self._waiting(home):
            for entry_id, ending in endings:
                await self._tell(ending)
                with translated(home.where):
                    await home.client.xdel(home.keys.crossings, entry_id)
                told += 1
        return told

    async def _waiting(self, home: Engine) -> list[tuple[bytes, dict[bytes, bytes]]]:
        with translated(home.where):
            answer = await cast("Any", home.client.xrange(home.keys.crossings, count=BATCH))
        return cast("list[tuple[bytes, dict[bytes, bytes]]]", answer)

    async def _tell(self, ending: dict[bytes, bytes]) -> None:
        queue, _, child = ending[b"child"].decode().partition("/")
        parent = f"{self._queue_name}/{ending[b'parent'].decode()}"
        engine = self._reach.engine(queue)
        await engine.tell([(child, parent, ending[b"status"].decode(), ending[b"body"])])
