"""`penstock worker`: run the jobs of one queue until told to stop."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli.options import QueueOption, RedisUrlOption, run


def worker(  # noqa: PLR0917 - each argument is an option
    handlers: Annotated[
        str,
        typer.Option(
            "--handlers",
            metavar="MODULE:NAME",
            help="What runs the jobs: a mapping of job type to handler, or one handler for all.",
            show_default=False,
        ),
    ],
    queue: QueueOption = "default",
    worker_id: Annotated[
        str | None,
        typer.Option(
            "--worker-id",
            metavar="ID",
            help="A name of its own for this worker; by default host, process and a nonce.",
            show_default=False,
        ),
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", "-c", min=1, max=10_000, metavar="N", help="Jobs at the same time."),
    ] = 10,
    grace_seconds: Annotated[
        float,
        typer.Option(
            "--grace-seconds",
            min=0,
            metavar="S",
            help="How long running jobs may finish after a stop; then they are released.",
        ),
    ] = 30.0,
    log_level: Annotated[
        str, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = "info",
    redis_url: RedisUrlOption = None,
) -> None:
    """Run the jobs of a queue until SIGTERM or Ctrl-C.

    The first signal stops claiming and lets running jobs finish; a second one
    releases them at once, without spending an attempt. Modules in the current
    directory can be named.

    [bold]Examples[/]

      penstock worker --handlers shop.jobs:HANDLERS
      penstock worker --queue mail -c 50 --handlers shop.mail:send
    """
    from penstock.cli.handlers import load_handlers
    from penstock.observe import logging

    logging.configure(_checked_level(log_level))
    run(
        _work(
            load_handlers(handlers),
            queue,
            worker_id,
            concurrency=concurrency,
            grace_seconds=grace_seconds,
            redis_url=redis_url,
        )
    )


async def _work(
    handlers: Any,
    queue_name: str,
    worker_id: str | None,
    *,
    concurrency: int,
    grace_seconds: float,
    redis_url: str | None,
) -> None:
    from penstock import Worker, create_redis_queue

    queue = await create_redis_queue(redis_url, queue_name=queue_name)
    try:
        await Worker(
            queue,
            handlers,
            worker_id=worker_id,
            max_concurrent=concurrency,
            grace_seconds=grace_seconds,
        ).start()
    finally:
        await queue.close()


def _checked_level(level: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if level.lower() not in levels:
        raise typer.BadParameter(f"{level!r} is not one of {', '.join(levels)}.", param_hint="--log-level")
    return level
