"""The data directory: who may use it, and the files in it beside Valkey's own."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from penstock.core.errors import ConfigurationError, EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOG_LIMIT_BYTES = 1 << 20
_TAIL_BYTES = 4096
_TAIL_LINES = 8
_OTHERS_MAY_WRITE = 0o022
_EMPTY = '""'

#: What may be changed by a caller. Durable to the second, small in memory, and never evicting.
DEFAULT_SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
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


class Endpoint(msgspec.Struct, frozen=True):
    """Where the server of a data directory listens, and the password it asks for."""

    port: int
    password: str

    @property
    def url(self) -> str:
        """What clients connect with; it carries the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}"

    def __repr__(self) -> str:
        return f"Endpoint(port={self.port})"


class DataDirectory:
    """The files of one embedded server, all of them inside one private directory."""

    def __init__(self, path: Path) -> None:
        """``path`` is made absolute; nothing is touched before ``prepare``."""
        self.path = path.expanduser().absolute()
        #: Held shared by every user of the server, alone by the one that stops it.
        self.users_lock = self.path / "users.lock"
        #: Held by the server process for as long as it lives.
        self.server_lock = self.path / "server.lock"
        self.config_file = self.path / "valkey.conf"
        self._log_file = self.path / "valkey.log"
        self._endpoint_file = self.path / "endpoint.json"

    def prepare(self) -> None:
        """Make the directory, readable by its owner alone, or check the one that is there.

        Raises:
            EmbeddedServerError: it cannot be made, belongs to another user, or others may
                write in it.
        """
        advice = "Choose another data directory, or set PENSTOCK_REDIS_URL to use a server of yours"
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            facts = self.path.stat()
            if facts.st_uid != os.geteuid():
                raise EmbeddedServerError(
                    f"The data directory {self.path} belongs to user id {facts.st_uid}, and this "
                    f"process runs as {os.geteuid()}. Run as its owner. {advice}."
                )
            if facts.st_mode & 0o077 and not any(self.path.iterdir()):
                self.path.chmod(0o700)
            elif facts.st_mode & _OTHERS_MAY_WRITE:
                raise EmbeddedServerError(
                    f"Other users may write in the data directory {self.path}. If it is meant "
                    f"for Penstock, run: chmod 700 {self.path}. {advice}."
                )
            self.path.joinpath("users.lock").touch(mode=0o600)
        except OSError as error:
            raise EmbeddedServerError(
                f"Cannot use the data directory {self.path}: {error.strerror}. {advice}."
            ) from error

    def read_endpoint(self) -> Endpoint | None:
        """What the last start wrote; a claim to be verified, for it may be stale."""
        try:
            return msgspec.json.decode(self._endpoint_file.read_bytes(), type=Endpoint)
        except (OSError, msgspec.DecodeError):
            return None

    def configure(self, port: int, settings: Mapping[str, str]) -> Endpoint:
        """Write the endpoint and the server's configuration for a start on ``port``.

        To be called by the holder of the server lock. The password is made once and kept.

        Raises:
            ConfigurationError: ``settings`` names an owned setting or a value of several lines.
        """
        known = self.read_endpoint()
        password = known.password if known else secrets.token_urlsafe(24)
        endpoint = Endpoint(port, password)
        owned = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": password,
            "proc-title-template": '"{title} {listen-addr} {config-file}"',
        }
        lines = [
            f"{name} {value or _EMPTY}"
            for name, value in {**DEFAULT_SETTINGS, **checked(settings), **owned}.items()
        ]
        self._write(self.config_file, "\n".join([*lines, ""]).encode())
        self._write(self._endpoint_file, msgspec.json.encode(endpoint))
        return endpoint

    def open_log(self) -> int:
        """A descriptor that appends to the log; a log above 1 MiB is first put aside, one deep."""
        with contextlib.suppress(FileNotFoundError):
            if self._log_file.stat().st_size > _LOG_LIMIT_BYTES:
                self._log_file.replace(self._log_file.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._log_file, flags, mode=0o600)

    def log_tail(self, start_bytes: int = 0) -> str:
        """The last lines of the log, none from before ``start_bytes``; for error messages."""
        try:
            with self._log_file.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(start_bytes, size - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:] if line.strip())

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        """Replace ``path`` in one move, so that a reader sees the old file or the new one."""
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)


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
