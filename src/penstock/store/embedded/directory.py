"""The data directory of a Valkey: its configuration, beside what all data directories have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError
from penstock.store.embedded.place import Endpoint, PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EMPTY = '""'

#: What may be changed by a caller. Durable to the second, small in memory, and never evicting.
DEFAULT_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "auto-aof-rewrite-min-size": "256mb",
    "hash-max-listpack-value": "2048",
    "maxmemory-policy": "noeviction",
}

#: What may not: on these rests that the server is found, private and single.
_OWNED_SETTINGS = frozenset(
    {
        "bind",
        "daemonize",
        "dir",
        "include",
        "logfile",
        "pidfile",
        "port",
        "requirepass",
        "supervised",
        "tls-port",
    }
)


class ValkeyEndpoint(Endpoint, frozen=True):
    """Where a Valkey listens."""

    @property
    def url(self) -> str:
        """What clients connect with; it carries the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}"


class DataDirectory(PrivateDirectory):
    """The files of one embedded Valkey."""

    variable = "PENSTOCK_REDIS_URL"
    log_name = "valkey.log"
    endpoint_type = ValkeyEndpoint

    def __init__(self, path: Path) -> None:
        """``path`` is made absolute; nothing is touched before ``prepare``."""
        super().__init__(path)
        self.config_file = self.path / "valkey.conf"

    def configure(self, port: int, settings: Mapping[str, str]) -> None:
        """Write the endpoint and the server's configuration for a start on ``port``.

        To be called by the holder of the server lock. The password is made once and kept.

        Raises:
            ConfigurationError: ``settings`` names an owned setting or a value of several lines.
        """
        endpoint = self.make_endpoint(port)
        owned = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": endpoint.password,
            "proc-title-template": '"{title} {listen-addr} {config-file}"',
        }
        lines = [
            f"{name} {value or _EMPTY}"
            for name, value in {**DEFAULT_SETTINGS, **checked(settings), **owned}.items()
        ]
        self.write(self.config_file, "\n".join([*lines, ""]).encode())
        self.write_endpoint(endpoint)


def checked(settings: Mapping[str, str]) -> dict[str, str]:
    """A copy of ``settings`` with lower-case names.

    Raises:
        ConfigurationError: a setting is one that Penstock decides, or its value has line breaks.
    """
    result = {name.lower(): value for name, value in settings.items()}
    for name, value in result.items():
        if name in _OWNED_SETTINGS:
            raise ConfigurationError(
                f"The embedded server's setting {name!r} is decided by Penstock and cannot be "
                f"changed. (A port is given as port=.)"
            )
        if not name.replace("-", "").isalnum() or "\n" in value or "\r" in value:
            raise ConfigurationError(
                f"{name!r} = {value!r} is no setting of the embedded server: expected a name "
                f"such as 'maxmemory' and a value on one line."
            )
    return result
