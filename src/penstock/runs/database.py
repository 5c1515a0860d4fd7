"""PostgreSQL as the service uses it: one pool, migrations under a lock, errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import asyncpg
import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from penstock.core.errors import (
    ConfigurationError,
    HistoryUnavailableError,
    PenstockError,
    StoreError,
    UnwritableFactError,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 30.0
MIGRATE_SECONDS: Final = 600.0
POOL_SIZE: Final = 5
_MIGRATION_LOCK: Final = 0x70656E73746F636B  # "penstock" in ASCII
_MIGRATIONS: Final = Path(__file__).parent / "migrations"

#: SQLSTATEs, or their first letters, that mean: wait and try again.
_WAIT: Final = ("08", "25006", "40", "53", "55P03", "57")
#: Those that mean: this value cannot be kept, another can.
_VALUE: Final = ("22", "23", "54")
_LOGIN: Final = ("28", "3D000", "42501")
_NO_TABLES: Final = ("42P01", "3F000")


class Database:
    """A pool of connections to the database that keeps the history."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        """Nothing is connected before the first use. Raises ``ConfigurationError`` for a wrong URL."""
        self.where = describe_database(url)
        self._engine = _engine(url, pool_size=pool_size)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed when the block ends well.

        Raises:
            HistoryUnavailableError: PostgreSQL is away or cannot take commands; try again.
            ConfigurationError: it refuses the login.
            UnwritableFactError: it cannot keep one of the values.
            StoreError: it refused for another reason that waiting does not cure.
        """
        with translated(self.where):
            async with self._engine.begin() as connection:
                yield connection

    async def ping(self) -> None:
        """Ask PostgreSQL for a sign of life; raises as ``begin`` does."""
        async with self.begin() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


async def migrate(url: str) -> None:
    """Bring the database's tables to this version; nothing happens when they are.

    Any number of processes may call this together: one works, the others wait for it. All changes
    are one transaction.

    Raises:
        HistoryUnavailableError: PostgreSQL cannot be reached.
        ConfigurationError: it refuses the login, or its tables are of a newer Penstock.
    """
    where = describe_database(url)
    engine = _engine(url, command_seconds=MIGRATE_SECONDS)
    try:
        with translated(where):
            async with engine.begin() as connection:
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK}
                )
                await connection.run_sync(_upgrade, where)
    finally:
        await engine.dispose()


def describe_database(url: str) -> str:
    """Where a URL leads, without its secrets; raises ``ConfigurationError`` for one that leads nowhere."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
    except ValueError:
        place, parts = "", None
    if parts is None or parts.scheme not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            "the database URL is not one of PostgreSQL: expected postgresql://user:password@host:port/database"
        )
    return f"PostgreSQL at {place or 'the default host'}{parts.path}"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the libraries' errors into ours: wait and try again, or not."""
    try:
        yield
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _meaning(error, where) from error
    except (OSError, PoolTimeoutError) as error:
        if isinstance(error, PenstockError):
            raise
        raise _unavailable(where, error) from error
    except SQLAlchemyError as error:
        raise StoreError(f"{where} could not be asked: {error}") from error


def _meaning(error: Exception, where: str) -> Exception:
    cause = _root(error)
    state = str(getattr(cause, "sqlstate", "") or "")
    if state.startswith(_VALUE) or isinstance(cause, asyncpg.DataError):
        return UnwritableFactError(f"{where} cannot keep a value: {cause}")
    if state.startswith(_LOGIN):
        return ConfigurationError(f"{where} refused the login: {cause}; check PENSTOCK_DATABASE_URL")
    if state.startswith(_NO_TABLES):
        return HistoryUnavailableError(
            f"{where} has no tables of Penstock yet ({cause}); start a keeper, which makes them"
        )
    if not state or state.startswith(_WAIT) or isinstance(cause, asyncpg.InterfaceError | InterfaceError):
        return _unavailable(where, cause)
    return StoreError(f"{where} refused a command: {cause}")


def _root(error: BaseException) -> BaseException:
    """The driver's own error, beneath what SQLAlchemy wraps around it."""
    original = getattr(error, "orig", None)
    inner = error if original is None else original
    while inner.__cause__ is not None and not isinstance(inner, asyncpg.PostgresError):
        inner = inner.__cause__
    return inner


def _unavailable(where: str, error: BaseException) -> HistoryUnavailableError:
    reason = str(error) or type(error).__name__
    return HistoryUnavailableError(
        f"{where} did not answer ({reason}); is it running and is PENSTOCK_DATABASE_URL right?"
    )


def _engine(url: str, *, pool_size: int = 0, command_seconds: float = COMMAND_SECONDS) -> AsyncEngine:
    describe_database(url)

    async def connect() -> Any:
        # asyncpg reads the URL by itself, so every libpq parameter works and the password stays here.
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=command_seconds,
            server_settings={"application_name": "penstock", "timezone": "UTC"},
        )

    pool: dict[str, Any] = {"poolclass": NullPool}
    if pool_size:
        pool = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": CONNECT_SECONDS}
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_pre_ping=True,
        json_deserializer=msgspec.json.decode,
        **pool,
    )


def _upgrade(connection: Connection, where: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigurationError(
            f"{where} has tables that this version of Penstock does not know ({error}); upgrade Penstock"
        ) from error
