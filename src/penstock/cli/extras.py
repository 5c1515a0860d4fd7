"""Commands that need more than the core, and what they say when it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.core.errors import ConfigurationError


@contextmanager
def needs(*extras: str) -> Iterator[None]:
    """Turn a missing library into a `ConfigurationError` that names the extras it comes with."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "penstock":
            raise
        raise ConfigurationError(
            f"this command needs {error.name.partition('.')[0]}, which is not installed: "
            f"pip install 'penstock[{','.join(extras)}]'"
        ) from error
