"""`penstock api`: the HTTP API."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.extras import needs
from penstock.cli.options import LogLevelOption, RedisUrlOption, checked_level, run
from penstock.core.errors import ConfigurationError, HistoryUnavailableError

if TYPE_CHECKING:
    from fastapi import FastAPI

#: How long requests may go on after a stop.
GRACE_SECONDS: Final = 5

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
    with needs("server", "webhooks"):
        run(_serve(host, port, redis_url))


async def _serve(host: str, port: int, redis_url: str | None) -> None:
    import penstock
    from penstock.api.app import create_app
    from penstock.api.auth import Authenticator
    from penstock.core.settings import get_service_settings
    from penstock.runs.history import open_history
    from penstock.runs.queues import open_run_queue

    settings = get_service_settings()
    Authenticator(settings.secret_key)
    with closing(_listen(host, port)) as listener:
        queue = await open_run_queue(settings, redis_url)
        try:
            await _prepare_history(settings.database_url)
            async with open_history(settings.database_url) as history:
                app = create_app(settings, queue, history, version=penstock.__version__)
                await _answer(app, listener)
        finally:
            await queue.close()


async def _answer(app: FastAPI, listener: socket.socket) -> None:
    """Serve until a signal; a second one ends requests that still wait."""
    import uvicorn

    from penstock.worker.stop_signals import StopSignals

    class Server(uvicorn.Server):
        """A server that leaves signals to `StopSignals`, so that the command ends in order."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def stop(self) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config)
    with StopSignals([server]):
        logger.info("api: listening on %s port %d", *listener.getsockname()[:2])
        await server.serve(sockets=[listener])
    logger.info("api: stopped")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            "choose another with --host and --port"
        ) from None


async def _prepare_history(database_url: str | None) -> None:
    from penstock.runs.database import migrate

    if database_url is None:
        logger.warning("api: PENSTOCK_DATABASE_URL is not set: runs are followed, but there is no history")
        return
    try:
        await migrate(database_url)
    except HistoryUnavailableError as error:
        logger.warning("api: %s; runs are accepted all the same, their history follows", error)
