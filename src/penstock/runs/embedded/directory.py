"""The data directory of a PostgreSQL: the cluster, beside what all data directories have."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.core.errors import ConfigurationError, EmbeddedServerError
from penstock.runs.embedded.account import path_of
from penstock.runs.embedded.programs import MAJOR_VERSION
from penstock.store.embedded.place import Endpoint, PrivateDirectory

if TYPE_CHECKING:
    from penstock.runs.embedded.account import Account

DATABASE = "penstock"
ROLE = "penstock"

#: What may be changed by a caller. Small in memory, few processes, durable.
DEFAULT_SETTINGS = {
    "autovacuum_max_workers": "1",
    "dynamic_shared_memory_type": "posix",
    "huge_pages": "off",
    "io_method": "sync",
    "jit": "off",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "max_connections": "100",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "max_worker_processes": "2",
    "min_wal_size": "32MB",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    "wal_level": "minimal",
}

#: What may not: on these rests that the server is found, private and single.
_OWNED_SETTINGS = frozenset(
    {
        "config_file",
        "data_directory",
        "external_pid_file",
        "hba_file",
        "ident_file",
        "listen_addresses",
        "log_destination",
        "logging_collector",
        "port",
        "ssl",
        "unix_socket_directories",
    }
)


class PostgresEndpoint(Endpoint, frozen=True):
    """Where a PostgreSQL listens."""

    @property
    def url(self) -> str:
        """What clients connect with; it carries the password."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The url of another database of the same server."""
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"


class DataDirectory(PrivateDirectory):
    """The files of one embedded PostgreSQL. ``cluster`` belongs to whom the server runs as."""

    variable = "PENSTOCK_DATABASE_URL"
    log_name = "postgres.log"
    endpoint_type = PostgresEndpoint

    def __init__(self, path: Path) -> None:
        """``path`` is made absolute; nothing is touched before ``prepare``."""
        super().__init__(path)
        self.cluster = self.path / "cluster"
        #: Where a cluster is made; it moves to its place when it is whole.
        self.workshop = self.path / "cluster.new"
        self.pid_file = self.cluster / "postmaster.pid"

    @property
    def owner_id(self) -> int | None:
        """Whose the cluster is, or ``None`` when there is none yet."""
        try:
            return self.cluster.stat().st_uid
        except FileNotFoundError:
            return None

    def check_cluster(self) -> None:
        """Refuse a cluster that this server cannot open, with ``EmbeddedServerError``."""
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise EmbeddedServerError(
                f"{self.cluster} was made by PostgreSQL {version}, and this is {MAJOR_VERSION}. Dump it "
                f"with the older Penstock and load it here, or choose another data directory."
            )
        if self.read_endpoint() is None:
            raise EmbeddedServerError(
                f"{self.path / 'endpoint.json'}, which holds the password of the cluster beside it, is "
                f"missing or damaged. Put it back, or move {self.path} away to start empty."
            )

    def open_workshop(self, account: Account | None, password: str) -> None:
        """An empty workshop with the password in a file; what an interrupted start left is removed."""
        shutil.rmtree(self.workshop, ignore_errors=True)
        self.workshop.mkdir(mode=0o700)
        secret = self.workshop / "password"
        self.write(secret, password.encode())
        if account is not None:
            for path in (self.workshop, secret):
                os.chown(path, account.user_id, account.group_id)

    def close_workshop(self) -> None:
        """Move the finished cluster to its place."""
        (self.workshop / "cluster").rename(self.cluster)
        shutil.rmtree(self.workshop)

    def forget_stale_pid(self) -> None:
        """Remove the pid file of a server that is gone, whose number another process may have now.

        To be called by the holder of the server lock, which every process of a server that Penstock
        started holds as well. The process named is looked at all the same, for somebody may have started
        PostgreSQL by hand: then it stays, and PostgreSQL itself refuses.
        """
        try:
            named = int(self.pid_file.read_text().split("\n", 1)[0])
            is_ours = Path("/proc", str(named), "cwd").samefile(self.cluster)
        except FileNotFoundError:
            # Only Linux can look.
            is_ours = not Path("/proc/self").is_dir()
        except (OSError, ValueError):
            is_ours = False
        if not is_ours:
            self.pid_file.unlink(missing_ok=True)


@contextlib.contextmanager
def seen_by(account: Account | None, place: Path) -> Iterator[tuple[Path, list[int]]]:
    """The path under which a child finds ``place``, and the descriptors it must inherit for it."""
    if account is None:
        yield place, []
        return
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield path_of(descriptor), [descriptor]
    finally:
        os.close(descriptor)


def checked(settings: Mapping[str, str]) -> dict[str, str]:
    """A copy of ``settings`` with lower-case names.

    Raises:
        ConfigurationError: a setting is one that Penstock decides, or no setting at all.
    """
    result = {name.lower(): value for name, value in settings.items()}
    for name, value in result.items():
        if name in _OWNED_SETTINGS:
            raise ConfigurationError(
                f"The embedded server's setting {name!r} is decided by Penstock and cannot be "
                f"changed. (A port is given as port=.)"
            )
        if not name.replace("_", "").isalnum() or "\n" in value or "\x00" in value:
            raise ConfigurationError(
                f"{name!r} = {value!r} is no setting of the embedded server: expected a name "
                f"such as 'shared_buffers' and a value on one line."
            )
    return result
