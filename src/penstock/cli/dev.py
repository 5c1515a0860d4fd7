"""`penstock dev`: everything on one machine, until told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.extras import needs
from penstock.cli.options import LogLevelOption, checked_level, run


def dev(
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, metavar="P", help="Port of the API; 0 for a free one."),
    ] = 8000,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", metavar="DIR", help="Where all data and the secret key are kept.")
    ] = Path(".penstock/dev"),
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address of the API.")] = "127.0.0.1",
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=16, metavar="N", help="Worker processes.")
    ] = 1,
    log_level: LogLevelOption = "info",
) -> None:
    """Run Valkey, PostgreSQL, API, keeper and worker on this machine until Ctrl-C or SIGTERM.

    What dies is started anew. Agents work on the files of the current directory,
    or of PENSTOCK_WORKSPACE. Servers given by PENSTOCK_REDIS_URL or
    PENSTOCK_DATABASE_URL are used in place of the embedded ones. Webhooks may go
    to loopback addresses here, which they may not elsewhere.

    [bold]Examples[/]

      penstock dev --port 8000 --data-dir ./data
      penstock token --actor user-123 --data-dir ./data
    """
    level = checked_level(log_level)
    with needs("server", "agents", "webhooks", "embedded"):
        from penstock.cli.stack.develop import DevOptions, develop

        run(develop(DevOptions(host, port, data_dir.resolve(), workers, level)))
