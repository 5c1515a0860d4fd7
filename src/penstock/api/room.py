"""What all routes share, and how they get at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from penstock.api.auth import Authenticator, Caller
from penstock.core.settings import ServiceSettings
from penstock.runs.history import HistoryReader
from penstock.runs.service import RunService
from penstock.store.streams import RedisStreamsQueue


@dataclass(frozen=True, slots=True)
class ApiRoom:
    """The open services behind the API."""

    settings: ServiceSettings
    queue: RedisStreamsQueue
    history: HistoryReader | None
    service: RunService
    authenticator: Authenticator


def get_room(request: Request) -> ApiRoom:
    """The room of this application."""
    room: ApiRoom = request.app.state.room
    return room


def get_caller(request: Request, room: Annotated[ApiRoom, Depends(get_room)]) -> Caller:
    """The authenticated caller; answers 401 otherwise."""
    return room.authenticator.authenticate(request.headers.get("authorization"))


Room = Annotated[ApiRoom, Depends(get_room)]
CurrentCaller = Annotated[Caller, Depends(get_caller)]
