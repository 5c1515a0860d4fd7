"""Bodies of requests and responses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from penstock.runs.requests import AutonomyLevel
from penstock.runs.service import RunView

Moment = Annotated[
    datetime, PlainSerializer(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str)
]


class ActRequest(BaseModel):
    """The body of ``POST /act``: what is to be done, and for whom."""

    model_config = ConfigDict(extra="forbid", strict=True)

    goal: Annotated[str, Field(min_length=1, description="What the run is to achieve, in plain words.")]
    actor: Annotated[str, Field(min_length=1, max_length=200, description="Who the run is for.")]
    autonomy_level: Annotated[AutonomyLevel, Field(strict=False)] = AutonomyLevel.EXECUTE_NOTIFY
    context: dict[str, Any] = {}
    dry_run: bool = False
    max_steps: Annotated[int | None, Field(ge=1, le=500)] = None
    timeout_seconds: Annotated[float | None, Field(gt=0, le=86_400, strict=False)] = None
    model: str | None = None


class ActAccepted(BaseModel):
    """The answer to ``POST /act`` while the run goes on."""

    run_id: str
    trace_id: str
    status: str
    message: str
    autonomy_level: AutonomyLevel
    poll_url: str


class ActFinished(BaseModel):
    """The answer to ``POST /act`` when the run has ended within the wait."""

    run_id: str
    trace_id: str
    status: str
    autonomy_level: AutonomyLevel
    result: Any = None
    error: str | None = None


class RunStatusBody(BaseModel):
    """How a run stands. ``progress`` is from 0 to 100, at most 95 while it runs."""

    run_id: str
    status: str
    progress: int
    current_step: str | None
    created_at: Moment
    completed_at: Moment | None
    estimated_completion: Moment | None
    error_message: str | None

    @classmethod
    def of(cls, view: RunView) -> RunStatusBody:
        """The body for a run."""
        return cls(
            run_id=view.run_id,
            status=view.status,
            progress=view.progress,
            current_step=view.current_step,
            created_at=view.created_at,
            completed_at=view.completed_at,
            estimated_completion=view.estimated_completion,
            error_message=view.error_message,
        )


class RunSummary(BaseModel):
    """A run in the history."""

    run_id: str
    actor: str
    goal: str
    status: str
    progress: int
    created_at: Moment
    completed_at: Moment | None
    result: Any = None
    error: str | None = None
    trace_id: str | None = None


class RunList(BaseModel):
    """Runs, newest first; ``next_before`` is the ``before`` of the following page."""

    runs: list[RunSummary]
    next_before: Moment | None = None


class WebhookSecret(BaseModel):
    """The key with which webhooks to the caller are signed (Standard Webhooks)."""

    actor: str
    secret: str


class Problem(BaseModel):
    """What was wrong, in words."""

    detail: str
