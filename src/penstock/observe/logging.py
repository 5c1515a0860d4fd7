"""Logs of the processes: readable on a terminal, JSON lines everywhere else."""

from __future__ import annotations

import logging
import os
import sys

import structlog

FORMAT_VARIABLE = "PENSTOCK_LOG_FORMAT"


def configure(level: str = "INFO", *, as_json: bool | None = None) -> None:
    """Send all logs to standard error at ``level``; JSON lines unless that is a terminal.

    ``PENSTOCK_LOG_FORMAT`` set to ``json`` or ``text`` decides otherwise.

    Called by the command line only: a library leaves logging to its user.
    """
    chosen = {"json": True, "text": False}.get(os.environ.get(FORMAT_VARIABLE, "").lower())
    preferred = not sys.stderr.isatty() if chosen is None else chosen
    json_lines = preferred if as_json is None else as_json
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    last: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if json_lines:
        last.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*last, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Theirs are remarks on how they were set up; what goes wrong they raise.
    logging.getLogger("alembic").setLevel(max(root.level, logging.WARNING))
