"""`penstock api`: the HTTP API."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from penstock.cli.options import LogLevelOption, RedisUrlOption, checked_level, run
from penstock.core.errors import HistoryUnavailableError

logger = logging.getLogger("penstock.api")


def api(
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="P", help="Port to listen on.")
    ] = 8000,
    log_level: LogLevelOption = "info",
    redis_url: RedisUrlOption = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C.

    It needs PENSTOCK_SECRET_KEY, and for the history PENSTOCK_DATABASE_URL. While PostgreSQL is away runs are
    accepted and followed all the same.

    [bold]Example[/]

      penstock api --host 0.0.0.0 --port 8000
    """
    from penstock.observe import logging as logs

    logs.configure(checked_level(log_level))
    run(_serve(host, port, redis_url))


async def _serve(host: str, port: int, redis_url: str | None) -> None:
    import uvicorn

    from penstock.api.app import create_app
    from penstock.api.auth import Authenticator
    from penstock.core.settings import get_service_settings
    from penstock.runs.history import open_history
    from penstock.runs.queues import open_run_queue

    settings = get_service_settings()
    Authenticator(settings.secret_key)
    queue = await open_run_queue(settings, redis_url)
    try:
        await _prepare_history(settings.database_url)
        async with open_history(settings.database_url) as history:
            app = create_app(settings, queue, history)
            config = uvicorn.Config(
                app, host=host, port=port, log_config=None, lifespan="off", access_log=False
            )
            await uvicorn.Server(config).serve()
    finally:
        await queue.close()


async def _prepare_history(database_url: str | None) -> None:
    from penstock.runs.database import migrate

    if database_url is None:
        logger.warning("api: PENSTOCK_DATABASE_URL is not set: runs are followed, but there is no history")
        return
    try:
        await migrate(database_url)
    except HistoryUnavailableError as error:
        logger.warning("api: %s; runs are accepted all the same, their history follows", error)
