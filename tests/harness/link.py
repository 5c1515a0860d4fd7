"""One client's connection through the fault proxy: pairs each reply with its command."""

import asyncio
import contextlib
from collections import deque
from typing import Protocol

from tests.harness.resp import PUSH, take_values
from tests.harness.rules import NOT_EXECUTED, Command, Effect, Rule

CHUNK_BYTES = 64 * 1024
HOST = "127.0.0.1"
# Answered by messages (one for each channel, pushes in RESP3), never by one reply of their own.
WITHOUT_REPLY = frozenset(
    {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"}
)


class Cut(Exception):
    """Ends a link at once."""


class Judge(Protocol):
    """What a link asks of its proxy."""

    async def flowing(self) -> None:
        """Return when traffic may pass."""

    def arrived(self, command: Command, *, begins_trip: bool) -> Rule | None:
        """The rule that a command meets on its way to the server."""

    def answered(self, command: Command) -> Rule | None:
        """The rule that a reply meets on its way to the client."""


class Link:
    """Two pumps, one a direction, until either side closes or a rule cuts the connection."""

    def __init__(
        self,
        judge: Judge,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._judge = judge
        self._from_client, self._to_client = reader, writer
        self._waiting: deque[Command] = deque()
        self._silent = False

    async def run(self, target_port: int) -> None:
        """Connect to the server and carry traffic until the connection ends on either side."""
        try:
            await self._judge.flowing()
            with contextlib.suppress(OSError):
                from_server, to_server = await asyncio.open_connection(HOST, target_port)
                try:
                    await self._carry(from_server, to_server)
                finally:
                    await _close(to_server)
        finally:
            await _close(self._to_client)

    def abort(self) -> None:
        """Drop the client, also when `run` never got its turn."""
        self._to_client.transport.abort()

    async def _carry(
        self,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        pumps = {
            asyncio.ensure_future(self._pump_requests(to_server)),
            asyncio.ensure_future(self._pump_replies(from_server)),
        }
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in done:
                with contextlib.suppress(Cut, OSError):
                    pump.result()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump_requests(self, to_server: asyncio.StreamWriter) -> None:
        buffer = bytearray()
        while chunk := await self._from_client.read(CHUNK_BYTES):
            await self._judge.flowing()
            buffer += chunk
            for request in take_values(buffer):
                command = Command.parse(request)
                if self._judge.arrived(command, begins_trip=not self._waiting) is not None:
                    await to_server.drain()
                    raise Cut
                if command.name not in WITHOUT_REPLY:
                    self._waiting.append(command)
                to_server.write(request)
            await to_server.drain()

    async def _pump_replies(self, from_server: asyncio.StreamReader) -> None:
        buffer = bytearray()
        while chunk := await from_server.read(CHUNK_BYTES):
            await self._judge.flowing()
            buffer += chunk
            for reply in take_values(buffer):
                await self._pass_on(reply)
            await self._to_client.drain()

    async def _pass_on(self, reply: bytes) -> None:
        if not reply.startswith(PUSH) and self._waiting:
            command = self._waiting.popleft()
            if not reply.startswith(NOT_EXECUTED):
                rule = self._judge.answered(command)
                if rule is not None:
                    await self._obey(rule)
        if not self._silent:
            self._to_client.write(reply)

    async def _obey(self, rule: Rule) -> None:
        match rule.effect:
            case Effect.SWALLOW:
                self._silent = True
            case Effect.CUT_AFTER:
                raise Cut
            case Effect.HOLD:
                await rule.released()
            case Effect.DELAY:
                await asyncio.sleep(rule.delay_seconds)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close as a cut does: what is still unsent is lost."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
