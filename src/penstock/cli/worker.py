"""`penstock worker`: run jobs until told to stop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.options import LogLevelOption, RedisUrlOption, checked_level, run

if TYPE_CHECKING:
    from penstock.cli.working import WorkOptions


def worker(  # noqa: PLR0913, PLR0917 - each argument is an option
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
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--tasks",
            metavar="MODULE",
            help="Runs the tasks (@task) of a module, each on its own queue, and puts its schedules; "
            "may be given again.",
            show_default=False,
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "--queue",
            "-q",
            metavar="NAME",
            help="The queue: for --handlers 'default' without it; with --tasks only its tasks are run; "
            "of the built-in kinds only its own.",
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
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            min=1,
            max=256,
            metavar="N",
            help="Worker processes, each with its own concurrency; one that crashes is started anew.",
        ),
    ] = 1,
    max_jobs: Annotated[
        int | None,
        typer.Option(
            "--max-jobs",
            min=1,
            metavar="M",
            help="Replace a process by a fresh one when it has begun so many jobs on a queue.",
            show_default=False,
        ),
    ] = None,
    max_rss: Annotated[
        float | None,
        typer.Option(
            "--max-rss",
            min=1,
            metavar="MB",
            help="Replace a process by a fresh one when it holds more memory than this.",
            show_default=False,
        ),
    ] = None,
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
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Run jobs until SIGTERM or Ctrl-C.

    The first signal stops claiming and lets running jobs finish; a second one
    releases them at once, without spending an attempt. Modules in the current
    directory can be named.

    With --processes, --max-jobs or --max-rss the workers are processes of their
    own (ID-1, ID-2, ...) that this one keeps running. A process that is replaced
    lets its jobs finish within the grace time; no job is lost.

    [bold]Examples[/]

      penstock worker
      penstock worker --tasks shop.jobs --tasks shop.mail
      penstock worker --handlers shop.jobs:HANDLERS
      penstock worker --queue mail -c 50 --handlers shop.mail:send
      penstock worker --tasks shop.jobs --processes 4 --max-rss 500
    """
    from penstock.observe import logging

    level = checked_level(log_level)
    logging.configure(level)
    if not supervised and (processes > 1 or max_jobs is not None or max_rss is not None):
        words = _words(
            handlers=handlers,
            tasks=tasks,
            queue=queue,
            concurrency=concurrency,
            max_jobs=max_jobs,
            max_rss=max_rss,
            grace_seconds=grace_seconds,
            log_level=level,
        )
        raise typer.Exit(_keep_workers(words, processes, worker_id, grace_seconds, redis_url))
    from penstock.cli.working import WorkOptions

    _work(
        handlers,
        tasks,
        WorkOptions(queue, worker_id, concurrency, grace_seconds, redis_url, max_jobs, max_rss),
    )


def _work(handlers: str | None, tasks: list[str] | None, options: WorkOptions) -> None:
    from penstock.cli.builtin import work_on_builtin_kinds
    from penstock.cli.handlers import load_handlers, load_schedules, load_tasks
    from penstock.cli.working import work

    if handlers is None and not tasks:
        run(work_on_builtin_kinds(options))
        return
    loaded = None if handlers is None else load_handlers(handlers)
    found = load_tasks(tasks or ())
    run(work(loaded, found, options, load_schedules(tasks or ())))


def _keep_workers(
    words: list[str], processes: int, worker_id: str | None, grace_seconds: float, redis_url: str | None
) -> int:
    from penstock.cli.worker_fleet import FleetPlan, keep_workers
    from penstock.store.streams import default_worker_id

    environment = dict(os.environ)
    if redis_url is not None:
        environment["PENSTOCK_REDIS_URL"] = redis_url
    plan = FleetPlan(processes, worker_id or default_worker_id(), words, environment, grace_seconds)
    return run(keep_workers(plan))


def _words(**given: Any) -> list[str]:
    """The options of one worker process, as words of its command line."""
    words = []
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        values = value if isinstance(value, list) else [] if value is None else [value]
        for each in values:
            words += [option, str(each)]
    return words
