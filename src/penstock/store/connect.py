"""Connections: one set of rules for every client this package opens."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

import redis
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff

from penstock.core.errors import (
    ConfigurationError,
    PenstockError,
    QueueUnavailableError,
    StoreError,
    UnsafeServerError,
    means_wait,
)
from penstock.store import sentinel
from penstock.store.connections import OWN_CONNECTIONS, OwnPool

Client: TypeAlias = "Redis | RedisCluster"

SOCKET_TIMEOUT_SECONDS = 10.0
# Each waiting caller holds one: a limit of the client's own would look like an outage.
MOST_CONNECTIONS = 100_000
OLDEST_SERVER = (6, 2)
_SCHEMES = ("redis", "rediss", "unix", *sentinel.SCHEMES)
#: What a connection elsewhere needs; everything else in a pool is objects of its process and event loop.
PORTABLE = (
    "host",
    "port",
    "db",
    "username",
    "password",
    "path",
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_password",
    "socket_connect_timeout",
    "socket_keepalive",
)


def open_client(url: str, *, cluster: bool = False) -> Client:
    """A client that never resends by itself: whether a lost command ran is for the caller to judge.

    Raises ``ConfigurationError`` for a URL that is not ``redis://``, ``rediss://``, ``unix://`` or, for a
    master behind Sentinel, ``redis+sentinel://host:port,host:port/master/db``.
    """
    scheme = url.partition("://")[0]
    if "://" not in url or scheme not in _SCHEMES:
        raise ConfigurationError(
            f"{hide_password(url)!r} is not a Redis URL: expected redis://[user:password@]host:port/db, "
            "rediss://, unix://path or redis+sentinel://host:port,host:port/master/db"
        )
    options: dict[str, Any] = {"protocol": 2, "socket_timeout": SOCKET_TIMEOUT_SECONDS}
    if scheme in sentinel.SCHEMES:
        if cluster:
            raise ConfigurationError(
                f"{hide_password(url)!r} names sentinels: a cluster fails over by itself"
            )
        watched = sentinel.parse(url, hide_password(url))
        return sentinel.open_watched(
            watched, options | {"retry": AsyncRetry(NoBackoff(), 0)}, MOST_CONNECTIONS
        )
    options["max_connections"] = MOST_CONNECTIONS
    try:
        if cluster:
            return RedisCluster.from_url(url, **options, retry=AsyncRetry(NoBackoff(), 0))
        client = Redis.from_pool(OwnPool.from_url(url, **options, retry=AsyncRetry(NoBackoff(), 0)))
    except ValueError as error:
        raise ConfigurationError(f"{hide_password(url)!r} is not a Redis URL: {error}") from None
    pool: Any = client.connection_pool
    pool.connection_class = OWN_CONNECTIONS[pool.connection_class]
    try:
        # Made but not opened: it refuses options that it does not know.
        pool.make_connection()
    except TypeError as error:
        option = str(error).rpartition(" ")[2]
        raise ConfigurationError(
            f"{hide_password(url)!r} is not a Redis URL: it has the unknown option {option}"
        ) from None
    return client


def hide_password(url: str) -> str:
    """The URL with any password replaced, fit for messages and logs."""
    url = re.sub(r"(sentinel_password=)[^&]*", r"\1***", url)
    return re.sub(r"://([^:@/]*):[^/]*@", r"://\1:***@", url)


def describe(client: Client) -> str:
    """Where a client connects to, without secrets."""
    if isinstance(client, RedisCluster):
        return "the Redis cluster"
    if sentinel.follows_master(client):
        return sentinel.describe_watched(client)
    kwargs = client.connection_pool.connection_kwargs
    return str(kwargs.get("path") or f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}")


def own_client(client: Client) -> Client:
    """A client over connections of ours to where ``client`` goes, or ``client`` itself if it has them.

    Ours answer in bytes, never resend by themselves and never lose a cancellation. A cluster or a custom
    kind of connection is used as it is, if it answers in bytes; raises ``ConfigurationError`` if not.
    """
    if isinstance(client, RedisCluster):
        _refuse_decoding(client.connection_kwargs)
        return client
    if sentinel.reads_replicas(client):
        raise ConfigurationError("the given Redis client reads replicas; make it with Sentinel.master_for")
    own = OWN_CONNECTIONS.get(client.connection_pool.connection_class)
    if own is not None:
        return _twin(client, own)
    _refuse_decoding(client.connection_pool.connection_kwargs)
    return client


def byte_client(client: Client) -> Client:
    """``client`` itself if it answers in bytes, else a client of ours, for the caller to close."""
    if isinstance(client, RedisCluster) or client.connection_pool.connection_kwargs.get("decode_responses"):
        return own_client(client)
    return client


def another_client(client: Client) -> Client:
    """A client of its own to where ``client``, one of ours, goes: for another event loop."""
    if not isinstance(client, RedisCluster):
        return _twin(client, client.connection_pool.connection_class)
    (startup, *_) = client.nodes_manager.startup_nodes.values()
    kwargs = {name: value for name, value in client.connection_kwargs.items() if name in PORTABLE}
    kwargs |= {"host": startup.host, "port": startup.port}
    make_cluster: Any = RedisCluster
    cluster: Client = make_cluster(**kwargs, protocol=2, retry=AsyncRetry(NoBackoff(), 0))
    return cluster


def _refuse_decoding(kwargs: dict[str, Any]) -> None:
    if kwargs.get("decode_responses"):
        raise ConfigurationError(
            "the given Redis client decodes its responses; make it with decode_responses=False"
        )


def _twin(client: Redis, own: type) -> Redis:
    kwargs = client.connection_pool.connection_kwargs
    # What the library added for itself (notices of maintenance, original addresses) stays behind.
    copied = {
        name: value for name, value in kwargs.items() if not name.startswith(("maint_", "orig_", "himport"))
    }
    copied |= {"decode_responses": False, "protocol": 2, "retry": AsyncRetry(NoBackoff(), 0)}
    copied.setdefault("socket_timeout", SOCKET_TIMEOUT_SECONDS)
    if sentinel.follows_master(client):
        return sentinel.twin_of(client, copied)
    most = client.connection_pool.max_connections
    return Redis.from_pool(OwnPool(connection_class=own, max_connections=most, **copied))


def longest_wait_seconds(client: Client) -> float:
    """The longest a blocking command may wait so that the socket's own timeout stays out of it."""
    kwargs = (
        client.connection_kwargs
        if isinstance(client, RedisCluster)
        else client.connection_pool.connection_kwargs
    )
    timeout = kwargs.get("socket_timeout")
    return float(timeout) / 2 if timeout else SOCKET_TIMEOUT_SECONDS / 2


_AWAY = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.RedisClusterException,
    OSError,
)
_LIBRARY = (*_AWAY, redis.exceptions.RedisError)


class translated:  # noqa: N801 - read as a verb; as a generator it would cost each call more
    """Turn the client library's errors into ours: wait and try again, or not."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        """``where`` is how messages call the server."""
        self._where = where

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> Literal[False]:
        """Raise ours in place of the library's."""
        if isinstance(error, _LIBRARY) and not isinstance(error, PenstockError):
            raise _ours(self._where, error) from error
        return False


def _ours(where: str, error: Exception) -> Exception:
    if isinstance(error, redis.exceptions.AuthenticationError):
        return ConfigurationError(f"{where} refused the login: {error}; check user and password")
    if isinstance(error, _AWAY):
        return QueueUnavailableError(
            f"{where} did not answer ({_reason(error)}); is the server running and reachable?"
        )
    if means_wait(str(error)) or means_wait(_code_of(error)):
        return QueueUnavailableError(f"{where} cannot take this command now: {error}")
    if "NOAUTH" in str(error) or "Authentication required" in str(error):
        return ConfigurationError(f"{where} asks for a password: put it into the Redis URL")
    return StoreError(f"{where} refused a command: {error}")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


# The client library strips the code from replies for which it has a class of its own.
_CODES: dict[type[Exception], str] = {
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.TryAgainError: "TRYAGAIN",
    redis.exceptions.MasterDownError: "MASTERDOWN",
}


def _code_of(error: Exception) -> str:
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")


async def check_server(client: Client) -> None:
    """Refuse a server that is too old or that evicts keys, with ``UnsafeServerError``."""
    where = describe(client)
    with translated(where):
        if isinstance(client, RedisCluster):
            answer: Any = await client.info("all", target_nodes=RedisCluster.PRIMARIES)
        else:
            answer = await client.info("all")
    # A cluster answers by node, unless it has only one.
    nodes = [answer] if "redis_version" in answer else list(answer.values())
    for info in nodes:
        _check_node(where, info)


def _check_node(where: str, info: dict[str, Any]) -> None:
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER and "valkey_version" not in info:
        raise UnsafeServerError(f"{where} runs Redis {version}; Penstock needs Redis 6.2 or newer, or Valkey")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise UnsafeServerError(
            f"{where} has maxmemory-policy {policy!r}: it would drop jobs when memory is short. "
            "Run `CONFIG SET maxmemory-policy noeviction` and put it into the server's configuration"
        )
