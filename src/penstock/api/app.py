"""The FastAPI application, put together from services that somebody else opened."""

from __future__ import annotations

from fastapi import FastAPI

from penstock.api import problems
from penstock.api.auth import Authenticator
from penstock.api.body_limit import BodyLimit
from penstock.api.room import ApiRoom
from penstock.api.routes import act, health, runs, webhooks
from penstock.core.settings import ServiceSettings
from penstock.runs.history import HistoryReader
from penstock.runs.service import RunService
from penstock.store.streams import RedisStreamsQueue


def create_app(
    settings: ServiceSettings,
    queue: RedisStreamsQueue,
    history: HistoryReader | None = None,
    *,
    version: str = "0",
) -> FastAPI:
    """The API over an open run queue and, if there is one, the history; it says that it is ``version``.

    Raises ``ConfigurationError`` when the secret key is missing or too short.
    """
    app = FastAPI(
        title="Penstock",
        version=version,
        description="Start runs, follow them, and be told when they end.",
    )
    app.state.room = ApiRoom(
        settings, queue, history, RunService(queue, settings, history), Authenticator(settings.secret_key)
    )
    problems.install(app)
    app.add_middleware(BodyLimit)
    for module in (act, runs, webhooks, health):
        app.include_router(module.router)
    return app
