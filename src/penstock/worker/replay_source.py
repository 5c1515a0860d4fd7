"""What a replay reads: an exported job, checked, in the place of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from penstock.core.errors import InvalidJobError
from penstock.core.job import Job, JobStatus, parse_status
from penstock.core.outcomes import Claimed
from penstock.worker.reporter import Reporter

_FORMAT = 1
_FIELDS = ("id", "type", "payload", "attempts", "max_attempts", "priority", "created_at", "result")
_encoder = msgspec.json.Encoder()


class History(NamedTuple):
    """An exported job; steps, signals and parents by name, ``exported_at`` in seconds since the epoch."""

    job: dict[str, Any]
    steps: dict[str, Any]
    signals: dict[str, Any]
    parents: dict[str, Any]
    exported_at: float
    status: JobStatus


class ExportReader(Reporter):
    """Reads from an export where a worker's reporter reads and writes on the server."""

    def __init__(self, history: History) -> None:
        """Read from ``history``."""
        self.loop = asyncio.get_running_loop()
        self._history = history

    def now_seconds(self) -> float:
        """The time at which the job was exported."""
        return self._history.exported_at

    async def progress(self, job_id: str, lease: str, percent: float, step: str) -> str:
        """Nothing is noted."""
        return "ok"

    async def store_step(self, job_id: str, lease: str, name: str, body: bytes) -> str:
        """Nothing is stored."""
        return "ok"

    async def emit(self, job_id: str, lease: str, body: bytes) -> str:
        """Nothing is appended."""
        return "ok"

    async def report_usage(self, job_id: str, lease: str, job_type: str, amounts: Any) -> str:
        """Nothing is added."""
        return "ok"

    async def enqueue_child(
        self, parent: Claimed, child: Job, priority: int, trace: dict[str, str], delay_ms: int
    ) -> str:
        """Nothing is enqueued; the id that the child would have."""
        return child.id

    async def load_steps(self, job_id: str) -> dict[str, bytes]:
        """The finished steps."""
        return {name: _encoder.encode(record) for name, record in self._history.steps.items()}

    async def load_signals(self, job_id: str) -> dict[str, bytes]:
        """The signals that the job was given."""
        return {name: _encoder.encode(value) for name, value in self._history.signals.items()}

    async def load_inputs(self, job_id: str) -> dict[str, tuple[str, bytes]]:
        """What the job's parents ended with."""
        return {
            parent: (told["status"], str(told["body"]).encode())
            for parent, told in self._history.parents.items()
        }


def read_export(export: Mapping[str, Any]) -> History:
    """Check an export; raise ``InvalidJobError`` for what is none."""
    try:
        if export["format"] != _FORMAT:
            raise InvalidJobError(
                f"the export has format {export['format']!r}, this version of Penstock reads {_FORMAT}"
            )
        job = dict(export["job"])
        if missing := [name for name in _FIELDS if name not in job]:
            raise InvalidJobError(f"the export cannot be read: its job has no {missing[0]!r}")
        return History(
            {"metadata": {}, "error": None, **job},
            dict(export["steps"]),
            dict(export["signals"]),
            dict(export["parents"]),
            float(export.get("exported_at", time.time())),
            parse_status(job.get("status")),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidJobError):
            raise
        raise InvalidJobError(
            f"the export cannot be read ({error!r}): expected what queue.export_job or "
            "`penstock replay JOB --export FILE` wrote"
        ) from error
