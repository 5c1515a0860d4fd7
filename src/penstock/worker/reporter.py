"""The reporter: what running jobs say and store, written together; and what they read of themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from penstock.core.acceptance import accept
from penstock.core.errors import PenstockError
from penstock.core.job import Job
from penstock.core.outcomes import Claimed
from penstock.store.engine import Engine
from penstock.store.intake import kept_id
from penstock.worker.group_commit import GroupCommit
from penstock.worker.patience import patiently

Note = TypeVar("Note")


class _Asking(Generic[Note]):
    """A group commit whose callers wait for their own code."""

    def __init__(self, name: str, send: object) -> None:
        self._send = send
        self._commit: GroupCommit[tuple[Note, asyncio.Future[str]], str] = GroupCommit(
            name, self._send_notes, self._answer, self._refuse
        )

    def start(self) -> list[asyncio.Task[None]]:
        return self._commit.start()

    async def stop(self) -> None:
        await self._commit.stop()

    async def ask(self, note: Note) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._commit.submit((note, answer))
        return await answer

    async def _send_notes(self, batch: Sequence[tuple[Note, asyncio.Future[str]]]) -> list[str]:
        codes: list[str] = await self._send([note for note, _ in batch])  # type: ignore[operator]
        return codes

    @staticmethod
    def _answer(item: tuple[Note, asyncio.Future[str]], code: str) -> None:
        if not item[1].done():
            item[1].set_result(code)

    @staticmethod
    def _refuse(item: tuple[Note, asyncio.Future[str]], error: PenstockError) -> None:
        if not item[1].done():
            item[1].set_exception(error)


class Reporter:
    """Writes for running jobs under their leases; each call returns when its own note is stored."""

    def __init__(self, engine: Engine) -> None:
        """Write through ``engine``."""
        self.loop = asyncio.get_running_loop()
        self._engine = engine
        self.refused_late = 0
        self._progress: _Asking[tuple[str, str, float, str]] = _Asking("progress", engine.note_progress)
        self._steps: _Asking[tuple[str, str, str, bytes]] = _Asking("steps", engine.store_steps)
        self._feed: _Asking[tuple[str, str, str, bytes]] = _Asking("live feed", engine.emit)
        self._usage: _Asking[tuple[str, str, str, str, float]] = _Asking("usage", engine.report_usage)

    def start(self) -> list[asyncio.Task[None]]:
        """Begin writing; returns the tasks that do."""
        return [task for asking in self._askings() for task in asking.start()]

    async def stop(self) -> None:
        """Stop writing."""
        for asking in self._askings():
            await asking.stop()

    def now_seconds(self) -> float:
        """The time that delays of jobs are counted by, in seconds since the epoch."""
        moved_ms = self._engine.clock.script_time_ms()
        return time.time() if moved_ms is None else moved_ms / 1000

    async def progress(self, job_id: str, lease: str, percent: float, step: str) -> str:
        """Note how far a job has come: ``ok``, ``cancel`` or ``lost``."""
        return self._noted(await self._progress.ask((job_id, lease, percent, step)))

    async def store_step(self, job_id: str, lease: str, name: str, body: bytes) -> str:
        """Store a finished step: ``ok``, ``cancel``, ``lost``, ``full`` or ``corrupt``."""
        return self._noted(await self._steps.ask((job_id, lease, name, body)))

    async def emit(self, job_id: str, lease: str, body: bytes) -> str:
        """Append an event to a job's live feed: ``ok``, ``cancel``, ``lost`` or ``full``."""
        return self._noted(await self._feed.ask((job_id, lease, "emit", body)))

    async def report_usage(
        self, job_id: str, lease: str, job_type: str, amounts: Sequence[tuple[str, float]]
    ) -> str:
        """Add what a job used to the sums of the hour: ``ok``, ``cancel`` or ``lost``."""
        asked = [self._usage.ask((job_id, lease, job_type, name, amount)) for name, amount in amounts]
        codes = await asyncio.gather(*asked)
        return self._noted(max(codes, key=("ok", "cancel", "lost").index))

    async def enqueue_child(
        self, parent: Claimed, child: Job, priority: int, trace: dict[str, str], delay_ms: int
    ) -> str | None:
        """The id of the job that is kept for ``child``, or ``None`` when the parent's lease is lost.

        Raises as ``enqueue`` of a queue does when the child is refused.
        """
        accepted = accept(child, priority, trace, self._engine.config.ttl_ms)
        (code,) = await patiently(
            lambda: self._engine.enqueue_children(parent.id, parent.lease, [accepted], delay_ms),
            f"child of {parent.id}",
        )
        return None if self._noted(code) == "lost" else kept_id(code, child.id, self._engine)

    async def load_steps(self, job_id: str) -> dict[str, bytes]:
        """The steps that earlier attempts finished."""
        return await patiently(lambda: self._engine.load_steps(job_id), f"steps of {job_id}")

    async def load_signals(self, job_id: str) -> dict[str, bytes]:
        """The signals that a job was given: ``<name>#<place>`` → value as JSON."""
        return await patiently(lambda: self._engine.load_signals(job_id), f"signals of {job_id}")

    async def load_inputs(self, job_id: str) -> dict[str, tuple[str, bytes]]:
        """What a job's parents ended with: parent → status, and its result or error."""
        return await patiently(lambda: self._engine.load_inputs(job_id), f"parents of {job_id}")

    def _askings(self) -> tuple[_Asking[Any], ...]:
        return (self._progress, self._steps, self._feed, self._usage)

    def _noted(self, code: str) -> str:
        if code == "lost":
            self.refused_late += 1
        return code
