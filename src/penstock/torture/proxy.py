"""A network that fails on command: a TCP proxy with one port a worker.

It knows nothing of what it carries. A link may be cut, held (half-open: nothing passes, nothing is
closed), slowed down, or made mute: what the server answers from then on is lost, while the server goes
on executing what it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib

HOST = "127.0.0.1"
CHUNK_BYTES = 64 * 1024


class Link:
    """One connection through a port, and what befalls it."""

    def __init__(self) -> None:
        """Nothing befalls it yet."""
        self.is_mute = False


class Port:
    """What one worker connects to in place of the server."""

    def __init__(self, target_port: int) -> None:
        """Lead to ``target_port`` of this machine."""
        self._target_port = target_port
        self._links: dict[asyncio.Task[None], Link] = {}
        self._listener: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay_seconds = 0.0

    @property
    def number(self) -> int:
        """The number of the port; it is there once opened."""
        assert self._listener is not None  # noqa: S101 - asked for after `open`
        return int(self._listener.sockets[0].getsockname()[1])

    async def open(self) -> None:
        """Accept connections."""
        self._listener = await asyncio.start_server(self._accept, HOST, 0)

    async def close(self) -> None:
        """Accept no more, and end what there is."""
        if self._listener is not None:
            self._listener.close()
        await self.cut()

    async def cut(self) -> None:
        """Cut every link there is; new ones are accepted."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def hold(self) -> None:
        """Let nothing through, in either direction, on old links and new ones."""
        self._flowing.clear()

    def release(self) -> None:
        """Let go on what `hold` kept, in its order."""
        self._flowing.set()

    def mute(self) -> None:
        """From now on drop what the server answers on the links there are; they stay open."""
        for link in self._links.values():
            link.is_mute = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link()
        task = asyncio.ensure_future(self._carry(link, reader, writer))
        self._links[task] = link
        task.add_done_callback(self._links.pop)

    async def _carry(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_writer: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target_port)
            pumps = [
                asyncio.ensure_future(self._pump(reader, far_writer, None)),
                asyncio.ensure_future(self._pump(far_reader, writer, link)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            return
        finally:
            for end in (far_writer, writer):
                if end is not None:
                    end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers_of: Link | None
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if answers_of is None or not answers_of.is_mute:
                    writer.write(chunk)
                    await writer.drain()
