"""The service's secret key: from the environment, or kept in a data directory."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from penstock.core.errors import ConfigurationError

FILE_NAME = "secret.key"


def make_secret_key(data_dir: Path) -> str:
    """The key kept in ``data_dir``, made at the first use; readable by its owner only."""
    path = data_dir / FILE_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_secret_key(data_dir)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return read_secret_key(data_dir)


def read_secret_key(data_dir: Path) -> str:
    """The key kept in ``data_dir``; raises ``ConfigurationError`` when there is none."""
    path = data_dir / FILE_NAME
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        raise ConfigurationError(
            f"{data_dir} holds no {FILE_NAME}: start `penstock dev --data-dir {data_dir}` first"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
