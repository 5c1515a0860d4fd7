"""``/webhooks``: what a receiver needs to check signatures."""

from __future__ import annotations

from fastapi import APIRouter

from penstock.api.room import CurrentCaller, Room
from penstock.api.schemas import Problem, WebhookSecret
from penstock.webhooks.signing import secret_of

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.get("/secret", responses={401: {"model": Problem}})
async def secret(room: Room, caller: CurrentCaller) -> WebhookSecret:
    """The caller's own signing secret (``whsec_…``, see standardwebhooks.com)."""
    key = room.settings.secret_key or ""
    return WebhookSecret(actor=caller.actor, secret=secret_of(key, caller.actor))
