"""Ports that a test wants to be taken."""

import asyncio
import errno
import socket

LONGEST_WAIT_SECONDS = 30.0


async def taken(port: int) -> socket.socket:
    """Listen on a port, once whoever borrowed it for a connection of its own has given it back."""
    async with asyncio.timeout(LONGEST_WAIT_SECONDS):
        while True:
            try:
                return socket.create_server(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            await asyncio.sleep(0.01)
