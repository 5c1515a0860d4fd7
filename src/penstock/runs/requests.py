"""What a caller asks for when it starts a run, checked before anything is enqueued."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import uuid4

from penstock.core.errors import InvalidJobError
from penstock.core.job import Job

RUN_TYPE = "agent"
GOAL_LIMIT = 10_000
STEPS_LIMIT = 500
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class AutonomyLevel(StrEnum):
    """How much a run may do without asking."""

    ASK = "L0_Ask"
    DRAFT = "L1_Draft"
    EXECUTE_NOTIFY = "L2_ExecuteNotify"
    AUTONOMOUS = "L3_Autonomous"

    @property
    def needs_approval(self) -> bool:
        """Whether a run of this level would wait for a person before it acts."""
        return self in (AutonomyLevel.ASK, AutonomyLevel.DRAFT)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run as asked for. ``max_steps`` and ``timeout_seconds`` bound one attempt."""

    goal: str
    actor: str
    autonomy_level: AutonomyLevel = AutonomyLevel.EXECUTE_NOTIFY
    context: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    max_steps: int = 20
    timeout_seconds: float | None = None
    webhook_url: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not run, with ``InvalidJobError``."""
        if not self.goal.strip():
            raise InvalidJobError("goal must not be empty: say what the run is to achieve")
        if len(self.goal) > GOAL_LIMIT:
            raise InvalidJobError(f"goal has {len(self.goal):,} characters, the limit is {GOAL_LIMIT:,}")
        if not self.actor.strip():
            raise InvalidJobError("actor must not be empty: it names who the run is for")
        if not 1 <= self.max_steps <= STEPS_LIMIT:
            raise InvalidJobError(f"max_steps must be from 1 to {STEPS_LIMIT}, got {self.max_steps}")
        if self.autonomy_level.needs_approval:
            raise InvalidJobError(
                f"autonomy_level {self.autonomy_level.value} waits for approvals, which this service does "
                f"not offer yet; use {AutonomyLevel.EXECUTE_NOTIFY.value} or {AutonomyLevel.AUTONOMOUS.value}"
            )


def run_job(request: RunRequest, *, max_attempts: int, traceparent: str | None = None) -> Job:
    """The recorded job of a run; it continues the caller's trace or starts one of its own."""
    trace_id, parent = _trace(traceparent)
    return Job(
        payload={
            "goal": request.goal,
            "actor": request.actor,
            "autonomy_level": request.autonomy_level.value,
            "context": dict(request.context),
            "dry_run": request.dry_run,
            "max_steps": request.max_steps,
            "webhook_url": request.webhook_url,
            "model": request.model,
        },
        type=RUN_TYPE,
        id=str(uuid4()),
        max_attempts=max_attempts,
        timeout_seconds=request.timeout_seconds,
        record=True,
        metadata={"actor": request.actor, "trace_id": trace_id},
        trace={"traceparent": parent},
    )


def trace_id_of(job: Job) -> str:
    """The W3C trace id of a run, 32 hexadecimal digits."""
    return str(job.metadata["trace_id"])


def _trace(traceparent: str | None) -> tuple[str, str]:
    """Trace id and parent for a new run (W3C Trace Context, version 00)."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match and int(match[1], 16) and int(match[2], 16):
        return match[1], match[0]
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-01"
