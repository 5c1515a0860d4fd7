"""The reporter: progress and durable steps of all running jobs, written together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

from penstock.core.errors import PenstockError
from penstock.store.engine import Engine
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
    """Writes progress and steps; each call returns when its own note is stored."""

    def __init__(self, engine: Engine) -> None:
        """Write through ``engine``."""
        self.loop = asyncio.get_running_loop()
        self._engine = engine
        self.refused_late = 0
        self._progress: _Asking[tuple[str, str, float, str]] = _Asking("progress", engine.note_progress)
        self._steps: _Asking[tuple[str, str, str, bytes]] = _Asking("steps", engine.store_steps)

    def start(self) -> list[asyncio.Task[None]]:
        """Begin writing; returns the tasks that do."""
        return [*self._progress.start(), *self._steps.start()]

    async def stop(self) -> None:
        """Stop writing."""
        await self._progress.stop()
        await self._steps.stop()

    async def progress(self, job_id: str, lease: str, percent: float, step: str) -> str:
        """Note how far a job has come: ``ok``, ``cancel`` or ``lost``."""
        return self._noted(await self._progress.ask((job_id, lease, percent, step)))

    async def store_step(self, job_id: str, lease: str, name: str, body: bytes) -> str:
        """Store a finished step: ``ok``, ``cancel``, ``lost``, ``full`` or ``corrupt``."""
        return self._noted(await self._steps.ask((job_id, lease, name, body)))

    async def load_steps(self, job_id: str) -> dict[str, bytes]:
        """The steps that earlier attempts finished."""
        return await patiently(lambda: self._engine.load_steps(job_id), f"steps of {job_id}")

    def _noted(self, code: str) -> str:
        if code == "lost":
            self.refused_late += 1
        return code
