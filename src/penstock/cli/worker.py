"""`penstock worker`: run jobs until told to stop."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from penstock.cli.options import LogLevelOption, RedisUrlOption, checked_level, run


def worker(  # noqa: PLR0917 - each argument is an option
    handlers: Annotated[
        str | None,
        typer.Option(
            "--handlers",
            metavar="MODULE:NAME",
            help="What runs the jobs: a mapping of job type to handler, or one handler for all. "
            "Without it the built-in kinds are run: agent runs and webhook deliveries.",
            show_default=False,
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue",
            "-q",
            metavar="NAME",
            help="The queue; with --handlers 'default', without it those of all built-in kinds.",
            show_default=False,
        ),
    ] = None,
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
    log_level: LogLevelOption = "info",
    redis_url: RedisUrlOption = None,
) -> None:
    """Run jobs until SIGTERM or Ctrl-C.

    The first signal stops claiming and lets running jobs finish; a second one
    releases them at once, without spending an attempt. Modules in the current
    directory can be named.

    [bold]Examples[/]

      penstock worker
      penstock worker --handlers shop.jobs:HANDLERS
      penstock worker --queue mail -c 50 --handlers shop.mail:send
    """
    from penstock.cli.builtin import work_on_builtin_kinds
    from penstock.cli.handlers import load_handlers
    from penstock.observe import logging

    logging.configure(checked_level(log_level))
    if handlers is None:
        run(
            work_on_builtin_kinds(
                queue=queue,
                worker_id=worker_id,
                concurrency=concurrency,
                grace_seconds=grace_seconds,
                redis_url=redis_url,
            )
        )
        return
    run(
        _work(
            load_handlers(handlers),
            queue or "default",
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
