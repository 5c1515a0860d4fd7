"""``JobHandle``: a job that was enqueued, for those who want to know what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.core.job import JobStatus
from penstock.tasks.bridge import run_blocking
from penstock.tasks.loops import queue_here
from penstock.tasks.signature import TaskSignature
from penstock.worker.current import CurrentQueue

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue

Result = TypeVar("Result")


class JobHandle(str, Generic[Result]):
    """The id of a job, usable wherever an id is, that can also be asked about the job.

    It works in any event loop and thread; the ``_sync`` verbs block.
    """

    queue: str
    _origin: CurrentQueue
    _signature: TaskSignature

    @classmethod
    def made(cls, job_id: str, queue: str, origin: CurrentQueue, signature: TaskSignature) -> JobHandle[Any]:
        """Made by ``Task.enqueue``."""
        handle: JobHandle[Any] = cls(job_id)
        handle.queue = queue
        handle._origin = origin
        handle._signature = signature
        return handle

    @property
    def id(self) -> str:
        """The job's id, as plain text."""
        return str.__str__(self)

    async def result(self, timeout_seconds: float | None = None) -> Result:
        """Wait for the job's end and return its result as the type that the task names.

        Raises ``JobFailedError``, ``JobCancelledError``, ``TimeoutError``, or ``JobNotFoundError`` for a
        job that is no longer kept.
        """
        queue = await queue_here(self._origin)
        value = await queue.result(self.id, timeout_seconds, self.queue)
        result: Result = self._signature.from_result(value)
        return result

    async def status(self) -> JobStatus | None:
        """Where the job stands; ``None`` when it is no longer kept."""
        job = await (await self._home()).get_status(self.id)
        return None if job is None else job.status

    async def cancel(self) -> bool:
        """Cancel the job; ``False`` when it has ended or is no longer kept."""
        return await (await self._home()).cancel(self.id)

    def result_sync(self, timeout_seconds: float | None = None) -> Result:
        """``result`` for code without an event loop; blocks."""
        return run_blocking(self.result(timeout_seconds))

    def status_sync(self) -> JobStatus | None:
        """``status`` for code without an event loop; blocks."""
        return run_blocking(self.status())

    def cancel_sync(self) -> bool:
        """``cancel`` for code without an event loop; blocks."""
        return run_blocking(self.cancel())

    async def _home(self) -> RedisStreamsQueue:
        """The job's own queue: another one may keep a job of the same id."""
        queue = await queue_here(self._origin)
        return queue if queue.queue_name == self.queue else queue.on_queue(self.queue)
