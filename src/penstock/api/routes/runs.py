"""``/runs``: how runs stand, and which there were."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from penstock.api.auth import Caller
from penstock.api.problems import RefusedError
from penstock.api.room import ApiRoom, CurrentCaller, Room
from penstock.api.schemas import Problem, RunList, RunStatusBody, RunSummary
from penstock.core.errors import HistoryUnavailableError
from penstock.core.names import JOB_ID
from penstock.runs.service import RunView

router = APIRouter(prefix="/runs", tags=["runs"])

RunId = Annotated[str, Path(min_length=1, max_length=200, pattern=f"^{JOB_ID.pattern}$")]
RunStatusName = Literal[
    "queued", "running", "retrying", "awaiting_approval", "completed", "failed", "cancelled"
]


@router.get("/{run_id}/status", responses={code: {"model": Problem} for code in (401, 404, 422, 503)})
async def status(run_id: RunId, room: Room, caller: CurrentCaller) -> RunStatusBody:
    """How a run stands."""
    return RunStatusBody.of(await _visible(room, caller, run_id))


@router.get("", responses={code: {"model": Problem} for code in (401, 403, 422, 503)})
async def history(
    room: Room,
    caller: CurrentCaller,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[datetime | None, Query(description="Only runs created before this moment.")] = None,
    actor: Annotated[str | None, Query(description="Whose runs; your own if not given.")] = None,
    status: Annotated[RunStatusName | None, Query(description="Only runs of this status.")] = None,
) -> RunList:
    """Runs from the history, newest first."""
    whose = actor or caller.actor
    if not caller.may_read(whose):
        raise RefusedError(
            403, f"the token is for {caller.actor!r}: reading the runs of {whose!r} needs runs:read-all"
        )
    if room.history is None:
        raise HistoryUnavailableError("this service runs without a history: set PENSTOCK_DATABASE_URL")
    records = await room.history.list_runs(limit=limit, before=before, actor=whose, status=status)
    summaries = [
        RunSummary(
            run_id=record.run_id,
            actor=record.actor,
            goal=record.goal,
            status=record.status,
            progress=int(record.progress),
            created_at=record.created_at,
            completed_at=record.completed_at,
            result=record.result,
            error=record.error,
            trace_id=record.trace_id,
        )
        for record in records
    ]
    return RunList(runs=summaries, next_before=records[-1].created_at if len(records) == limit else None)


async def _visible(room: ApiRoom, caller: Caller, run_id: str) -> RunView:
    view = await room.service.view(run_id)
    # Another actor's run is not told apart from one that does not exist.
    if view is None or not caller.may_read(view.actor):
        raise RefusedError(404, f"there is no run {run_id!r} of yours")
    return view
