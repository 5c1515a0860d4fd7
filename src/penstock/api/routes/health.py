"""``/healthz``: whether the API can do its work."""

from __future__ import annotations

from fastapi import APIRouter, Response

from penstock.api.room import Room
from penstock.core.errors import PenstockError

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz(room: Room, response: Response) -> dict[str, str]:
    """200 while runs can be started; 503 while Redis is away. History lagging is told, not failed."""
    report = {"queue": "ok", "history": "none" if room.history is None else "ok"}
    try:
        await room.queue.get_queue_stats()
    except PenstockError as error:
        report["queue"] = str(error)
        response.status_code = 503
    if room.history is not None:
        try:
            await room.history.ping()
        except PenstockError as error:
            report["history"] = str(error)
    return report
