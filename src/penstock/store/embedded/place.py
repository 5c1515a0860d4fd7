"""What the data directories of all embedded servers have in common: private, locked, with a log."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING, ClassVar

import msgspec

from penstock.core.errors import EmbeddedServerError

if TYPE_CHECKING:
    from pathlib import Path

_LOG_LIMIT_BYTES = 1 << 20
_TAIL_BYTES = 4096
_TAIL_LINES = 8
_OTHERS_MAY_WRITE = 0o022


class Endpoint(msgspec.Struct, frozen=True):
    """Where the server of a data directory listens, and the password it asks for."""

    port: int
    password: str

    @property
    def url(self) -> str:
        """What clients connect with; it carries the password."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(port={self.port})"


class PrivateDirectory:
    """The files of one embedded server, all of them inside one private directory."""

    #: The variable that names a server of the user's own, for error messages.
    variable: ClassVar[str]
    log_name: ClassVar[str]
    endpoint_type: ClassVar[type[Endpoint]]

    def __init__(self, path: Path) -> None:
        """``path`` is made absolute; nothing is touched before ``prepare``."""
        self.path = path.expanduser().absolute()
        #: Held shared by every user of the server, alone by the one that stops it.
        self.users_lock = self.path / "users.lock"
        #: Held by the server process for as long as it lives.
        self.server_lock = self.path / "server.lock"
        self.log_file = self.path / self.log_name
        self._endpoint_file = self.path / "endpoint.json"

    def prepare(self) -> None:
        """Make the directory, readable by its owner alone, or check the one that is there.

        Raises:
            EmbeddedServerError: it cannot be made, belongs to another user, or others may
                write in it.
        """
        advice = f"Choose another data directory, or set {self.variable} to use a server of yours"
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
            return msgspec.json.decode(self._endpoint_file.read_bytes(), type=self.endpoint_type)
        except (OSError, msgspec.DecodeError):
            return None

    def make_endpoint(self, port: int) -> Endpoint:
        """The endpoint of a start on ``port``. The password is made once and kept."""
        known = self.read_endpoint()
        return self.endpoint_type(port, known.password if known else secrets.token_urlsafe(24))

    def write_endpoint(self, endpoint: Endpoint) -> None:
        """Note where a start listens; to be called by the holder of the server lock."""
        self.write(self._endpoint_file, msgspec.json.encode(endpoint))

    def open_log(self) -> int:
        """A descriptor that appends to the log; a log above 1 MiB is first put aside, one deep."""
        with contextlib.suppress(FileNotFoundError):
            if self.log_file.stat().st_size > _LOG_LIMIT_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self.log_file, flags, mode=0o600)

    def log_tail(self, start_bytes: int = 0) -> str:
        """The last lines of the log, none from before ``start_bytes``; for error messages."""
        try:
            with self.log_file.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(start_bytes, size - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:] if line.strip())

    @staticmethod
    def write(path: Path, content: bytes) -> None:
        """Replace ``path`` in one move, so that a reader sees the old file or the new one."""
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        draft.replace(path)
