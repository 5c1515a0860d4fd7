"""Ports for servers that must find their own free again after a restart."""

from __future__ import annotations

import contextlib
import secrets
import socket

HOST = "127.0.0.1"
# Below the ports that the kernel gives to outgoing connections.
LOWEST_PORT, PORT_COUNT, PORT_TRIES = 20_000, 12_000, 50


def free_port(host: str = HOST) -> int:
    """A port that nobody listens on; raises ``OSError`` when none is found."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(PORT_TRIES):
        port = LOWEST_PORT + secrets.randbelow(PORT_COUNT)
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise OSError(f"no free port on {host} in {PORT_TRIES} tries")
