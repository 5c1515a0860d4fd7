"""Servers behind Sentinel: the URL that names them, and clients that follow the master.

``redis+sentinel://[user:password@]host:port,host:port/master[/db]`` names the sentinels and the master that
they watch; user and password are the server's. ``rediss+sentinel://`` speaks TLS with both. Sentinels that
ask for a login of their own take ``?sentinel_username=…&sentinel_password=…``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, unquote

import redis.sentinel
from redis.asyncio import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.retry import Retry

from penstock.core.errors import ConfigurationError
from penstock.store.connections import OwnSentinelConnection, OwnSentinelSSLConnection

SCHEMES = ("redis+sentinel", "rediss+sentinel")
DEFAULT_PORT = 26379
# A sentinel that does not answer must not hold up the next: three of them fit into one beat.
SENTINEL_TIMEOUT_SECONDS = 1.0
#: How often the sentinels are asked while connections are used: for that long a former master is believed.
LOOK_AGAIN_SECONDS = 1.0
_OPTIONS = {"sentinel_username": "username", "sentinel_password": "password"}
_FORM = "redis+sentinel://[user:password@]host:port,host:port/master/db"
_HIGHEST_PORT = 65_535


class Watched(NamedTuple):
    """A master, the sentinels that watch it, and what connections to both need."""

    sentinels: list[tuple[str, int]]
    master: str
    connection: dict[str, Any]
    sentinel_connection: dict[str, Any]
    tls: bool


def parse(url: str, shown: str) -> Watched:
    """Read a Sentinel URL; raises ``ConfigurationError`` that quotes ``shown`` and says what is wrong."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    login, _, hosts = authority.rpartition("@")
    try:
        sentinels = [_node(host) for host in hosts.split(",")]
        master, database = _master(path)
        sentinel_connection = _options(query)
    except ValueError as error:
        raise ConfigurationError(f"{shown!r} is not a Sentinel URL: {error}; expected {_FORM}") from None
    connection: dict[str, Any] = {"db": database}
    user, has_password, password = login.partition(":")
    if user:
        connection["username"] = unquote(user)
    if has_password:
        connection["password"] = unquote(password)
    return Watched(sentinels, master, connection, sentinel_connection, scheme == SCHEMES[1])


def _node(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed:
            raise ValueError(f"the sentinel {text!r} lacks a closing bracket")
        port = port.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError("a sentinel has no host" if text else "it names no sentinel, or one too many commas")
    if port and not (port.isdecimal() and 0 < int(port) <= _HIGHEST_PORT):
        raise ValueError(f"{port!r} is not a port")
    return host, int(port) if port else DEFAULT_PORT


def _master(path: str) -> tuple[str, int]:
    name, _, database = path.partition("/")
    if not name:
        raise ValueError("it does not name the master after the sentinels")
    if database and not database.isdecimal():
        raise ValueError(f"the database {database!r} is not a number")
    return unquote(name), int(database or 0)


def _options(query: str) -> dict[str, Any]:
    given = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
    for name in given:
        if name not in _OPTIONS:
            raise ValueError(f"it has the unknown option {name!r}, known are {', '.join(_OPTIONS)}")
    return {_OPTIONS[name]: values[-1] for name, values in given.items()}


class MasterPool(SentinelConnectionPool):
    """Connections to whichever server is the master.

    A master that was only cut off or frozen comes back without knowing that it is none any more, and
    takes writes that are lost when it learns. So the sentinels are asked again while the pool is in use,
    and the connections to a former master are closed, whatever they wait for.
    """

    sentinel_manager: Sentinel
    master_address: tuple[str, int] | None
    _believed: tuple[str, int] | None = None
    _look_again_at = 0.0
    _looking: asyncio.Task[None] | None = None

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """A connection to the master; asks the sentinels beside it when that was long ago."""
        now = time.monotonic()
        if now >= self._look_again_at and (self._looking is None or self._looking.done()):
            self._look_again_at = now + LOOK_AGAIN_SECONDS
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return await cast("Any", super()).get_connection()

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the connections; the sentinels' too when all are meant."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            if self._looking is not None:
                self._looking.cancel()
            await self.sentinel_manager.aclose()

    async def _look(self) -> None:
        with contextlib.suppress(redis.RedisError, OSError):
            before, self._believed = self._believed, await cast("Any", self).get_master_address()
            if before is not None and before != self._believed:
                await super().disconnect(True)


class _PatientMasterPool(redis.sentinel.SentinelConnectionPool):
    """The same for a process without an event loop, which asks before it sends."""

    _look_again_at = 0.0

    def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        now = time.monotonic()
        if now >= self._look_again_at:
            self._look_again_at = now + LOOK_AGAIN_SECONDS
            # Closes the idle connections when the master has moved.
            with contextlib.suppress(redis.RedisError, OSError):
                cast("Any", self).get_master_address()
        return super().get_connection()


def open_watched(watched: Watched, options: Mapping[str, Any], most_connections: int) -> Redis:
    """A client of the master; ``options`` are those of its connections."""
    sentinel_options = watched.sentinel_connection | _patience() | ({"ssl": True} if watched.tls else {})
    make_manager: Any = Sentinel
    manager = make_manager(
        watched.sentinels,
        sentinel_kwargs=sentinel_options | {"protocol": 2, "retry": AsyncRetry(NoBackoff(), 0)},
    )
    return _client(manager, watched.master, watched.tls, watched.connection | dict(options), most_connections)


def twin_of(client: Redis, options: Mapping[str, Any]) -> Redis:
    """A client of its own that follows the same master, with ``options`` for its connections."""
    pool = cast("Any", client.connection_pool)
    make_manager: Any = Sentinel
    manager = make_manager(
        [_address(sentinel) for sentinel in pool.sentinel_manager.sentinels],
        sentinel_kwargs={
            **_patience(),
            **pool.sentinel_manager.sentinel_kwargs,
            "protocol": 2,
            "decode_responses": False,
            "retry": AsyncRetry(NoBackoff(), 0),
        },
    )
    copied = {name: value for name, value in options.items() if name != "connection_pool"}
    is_tls = issubclass(pool.connection_class, OwnSentinelSSLConnection) or "SSL" in str(
        pool.connection_class.__name__
    )
    return _client(manager, pool.service_name, is_tls, copied, pool.max_connections)


def _client(manager: Sentinel, master: str, tls: bool, options: dict[str, Any], most: int) -> Redis:
    own = OwnSentinelSSLConnection if tls else OwnSentinelConnection
    make_pool: Any = MasterPool
    return Redis.from_pool(make_pool(master, manager, connection_class=own, max_connections=most, **options))


def follows_master(client: Redis) -> bool:
    """Whether a client asks sentinels where its master is."""
    return isinstance(client.connection_pool, SentinelConnectionPool)


def reads_replicas(client: Redis) -> bool:
    """Whether a client asks sentinels for replicas, which take no jobs."""
    return follows_master(client) and not cast("Any", client.connection_pool).is_master


def describe_watched(client: Redis) -> str:
    """The master and its sentinels, for messages."""
    pool = cast("Any", client.connection_pool)
    nodes = ",".join(f"{host}:{port}" for host, port in map(_address, pool.sentinel_manager.sentinels))
    return f"the master {pool.service_name!r} of the sentinels {nodes}"


def portable_watched(client: Redis, names: tuple[str, ...]) -> dict[str, Any]:
    """What another process needs to ask the same sentinels; ``names`` are the options that travel."""
    pool = cast("Any", client.connection_pool)
    manager = pool.sentinel_manager
    return {
        "nodes": [list(_address(sentinel)) for sentinel in manager.sentinels],
        "master": pool.service_name,
        "sentinel": {
            name: value
            for name, value in manager.sentinel_kwargs.items()
            if name in (*names, "ssl") and isinstance(value, str | int | float | bool)
        },
        "tls": issubclass(pool.connection_class, OwnSentinelSSLConnection),
    }


def open_portable_watched(given: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """A synchronous client of the master from ``portable_watched``."""
    patience = _patience() | given["sentinel"]
    make_manager: Any = redis.sentinel.Sentinel
    manager = make_manager(
        [tuple(node) for node in given["nodes"]],
        sentinel_kwargs=patience | {"protocol": 2, "retry": Retry(NoBackoff(), 0)},
    )
    return manager.master_for(
        given["master"], connection_pool_class=_PatientMasterPool, ssl=given["tls"], **values
    )


def _patience() -> dict[str, Any]:
    return {
        "socket_timeout": SENTINEL_TIMEOUT_SECONDS,
        "socket_connect_timeout": SENTINEL_TIMEOUT_SECONDS,
    }


def _address(sentinel: Any) -> tuple[str, int]:
    kwargs = sentinel.connection_pool.connection_kwargs
    return str(kwargs["host"]), int(kwargs["port"])
