"""`penstock keeper`: history, webhook relay and retention."""

from __future__ import annotations

from penstock.cli.extras import needs
from penstock.cli.options import LogLevelOption, RedisUrlOption, checked_level, run


def keeper(log_level: LogLevelOption = "info", redis_url: RedisUrlOption = None) -> None:
    """Write history, relay webhooks and clear up, until SIGTERM or Ctrl-C.

    It needs PENSTOCK_DATABASE_URL. Any number may run; they share the work.

    [bold]Example[/]

      penstock keeper
    """
    from penstock.observe import logging as logs

    logs.configure(checked_level(log_level))
    with needs("server", "webhooks"):
        from penstock.cli.keeping import keep

        run(keep(redis_url))
