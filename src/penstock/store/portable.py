"""A connection described so that the heartbeat process, which has no event loop, can make its own."""

from __future__ import annotations

import json
from typing import Any

import redis
from redis.asyncio import RedisCluster
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.retry import Retry

from penstock.core.errors import ConfigurationError
from penstock.store import sentinel
from penstock.store.connect import PORTABLE, SOCKET_TIMEOUT_SECONDS, Client


def portable_connection(client: Client) -> str:
    """JSON from which ``open_portable`` in another process connects to the same server."""
    given: dict[str, Any] = {}
    if isinstance(client, RedisCluster):
        given["nodes"] = [[node.host, node.port] for node in client.nodes_manager.startup_nodes.values()]
        kwargs = client.connection_kwargs
        kind = "cluster"
    else:
        kwargs = client.connection_pool.connection_kwargs
        kind = _kind_of(client.connection_pool.connection_class)
        if sentinel.follows_master(client):
            kind = "sentinel"
            given = sentinel.portable_watched(client, PORTABLE)
        if kwargs.get("credential_provider") is not None:
            raise ConfigurationError(
                "a worker's heartbeat process cannot share a credential_provider; give username and password"
            )
    values = {
        name: kwargs[name] for name in PORTABLE if isinstance(kwargs.get(name), str | int | float | bool)
    }
    return json.dumps(given | {"kind": kind, "values": values})


def _kind_of(connection_class: type) -> str:
    if issubclass(connection_class, UnixDomainSocketConnection):
        return "unix"
    return "tls" if issubclass(connection_class, SSLConnection) else "tcp"


def open_portable(portable: str, longest_wait_seconds: float) -> Any:
    """A synchronous client from ``portable_connection`` that gives up on a reply after that long.

    Used by the heartbeat process: a connection that has gone silent must fail while there is still
    time to renew the leases over another.
    """
    given = json.loads(portable)
    values = given["values"] | {
        "protocol": 2,
        "socket_timeout": min(longest_wait_seconds, SOCKET_TIMEOUT_SECONDS),
        "retry": Retry(NoBackoff(), 0),
    }
    if given["kind"] == "cluster":
        make_node: Any = redis.cluster.ClusterNode
        startup = [make_node(host, port) for host, port in given["nodes"]]
        for name in ("host", "port", "db"):
            values.pop(name, None)
        return redis.RedisCluster(startup_nodes=startup, **values)
    if given["kind"] == "sentinel":
        return sentinel.open_portable_watched(given, values)
    if given["kind"] == "unix":
        values["unix_socket_path"] = values.pop("path")
    return redis.Redis(ssl=given["kind"] == "tls", **values)
