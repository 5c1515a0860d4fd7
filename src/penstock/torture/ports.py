"""Ports for servers that must find their own free again after a restart."""

from __future__ import annotations

import contextlib
import secrets
import socket

HOST = "127.0.0.1"
# Below the ports that the kernel gives to outgoing connections.
LOWEST_PORT, PORT_COUNT, PORT_TRIES = 20_000, 12_000, 50


def free_port() -> int:
    """A port that nobody listens on; raises ``OSError`` when none is found."""
    for _ in range(PORT_TRIES):
        port = LOWEST_PORT + secrets.randbelow(PORT_COUNT)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise OSError(f"no free port on {HOST} in {PORT_TRIES} tries")
