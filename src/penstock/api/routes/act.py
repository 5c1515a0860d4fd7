"""``POST /act``: start a run, and wait for it or not."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from penstock.api.auth import ACT_AS, Caller
from penstock.api.problems import RefusedError, explain
from penstock.api.room import ApiRoom, CurrentCaller, Room
from penstock.api.schemas import ActAccepted, ActFinished, ActRequest, Problem
from penstock.core.job import Job
from penstock.runs.requests import RunRequest, trace_id_of
from penstock.webhooks.egress import check_url

router = APIRouter(tags=["runs"])

_REFUSALS = {code: {"model": Problem} for code in (400, 401, 403, 413, 422, 503)}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": ActRequest.model_json_schema()}},
    }
}


@router.post(
    "/act",
    response_model=ActFinished | ActAccepted,
    responses={202: {"model": ActAccepted}, **_REFUSALS},  # type: ignore[dict-item]
    openapi_extra=_BODY,
)
async def act(
    request: Request,
    response: Response,
    room: Room,
    caller: CurrentCaller,
    background: Annotated[bool, Query(description="Return at once and let the run go on.")] = False,
    webhook_url: Annotated[str | None, Query(description="Told when the run has ended.")] = None,
) -> ActFinished | ActAccepted:
    """Start a run.

    With ``background=true`` this answers 202 with a ``poll_url`` at once. Without, it waits for the
    run to end (at most ``timeout_seconds`` or 60 s) and then answers 200 with the result, or 202 when the run
    goes on. The body is read as JSON whatever its content type.
    """
    asked = await _read(request)
    run = await _checked(room, caller, asked, webhook_url)
    job = await room.service.submit(run, request.headers.get("traceparent"))
    if not background:
        finished = await _wait(room, run, job)
        if finished is not None:
            return finished
    response.status_code = 202
    return ActAccepted(
        run_id=job.id,
        trace_id=trace_id_of(job),
        status="queued",
        message="Job queued for background processing",
        autonomy_level=run.autonomy_level,
        poll_url=f"/runs/{job.id}/status",
    )


async def _read(request: Request) -> ActRequest:
    body = await request.body()
    try:
        # Strict JSON: NaN, which other readers let pass, would be stored as null.
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from None
    try:
        return ActRequest.model_validate(said)
    except ValidationError as error:
        raise RefusedError(422, explain(error)) from None


async def _checked(room: ApiRoom, caller: Caller, asked: ActRequest, webhook_url: str | None) -> RunRequest:
    if not caller.may_act_as(asked.actor):
        raise RefusedError(
            403,
            f"the token is for {caller.actor!r}: to start a run for {asked.actor!r} it needs scope {ACT_AS}",
        )
    run = RunRequest(
        goal=asked.goal,
        actor=asked.actor,
        autonomy_level=asked.autonomy_level,
        context=asked.context,
        dry_run=asked.dry_run,
        max_steps=asked.max_steps or room.settings.max_steps,
        timeout_seconds=asked.timeout_seconds,
        webhook_url=webhook_url,
        model=asked.model,
    )
    if webhook_url is not None:
        await check_url(webhook_url, allow_loopback=room.settings.webhooks_allow_loopback)
    return run


async def _wait(room: ApiRoom, run: RunRequest, job: Job) -> ActFinished | None:
    limit = room.settings.sync_wait_seconds
    seconds = limit if run.timeout_seconds is None else min(limit, run.timeout_seconds)
    view = await room.service.wait(job.id, seconds)
    if view is None or not view.is_final:
        return None
    return ActFinished(
        run_id=job.id,
        trace_id=trace_id_of(job),
        status=view.status,
        autonomy_level=run.autonomy_level,
        result=view.result,
        error=view.error_message,
    )
