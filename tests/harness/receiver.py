"""A real HTTP receiver of webhooks: records what comes and answers by script, well or badly."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook

from penstock.store.embedded.ports import free_port
from tests.harness.waiting import Signal

HOST = "127.0.0.1"
CHUNK = b"x" * 65536
FLOOD_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def verified(self, secret: str | bytes) -> Any:
        """The body once the standardwebhooks package has verified the request, else its error."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[["Receiver", asyncio.StreamWriter], Awaitable[None]]


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """A complete answer, after which the connection is closed."""
    given = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}

    async def send(_: "Receiver", writer: asyncio.StreamWriter) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode() + body)
        await writer.drain()

    return send


def silence() -> Answer:
    """No answer at all; the connection stays open until the other side gives up."""

    async def send(receiver: "Receiver", _: asyncio.StreamWriter) -> None:
        await receiver.stopped.wait()

    return send


def drip(beginning: bytes, drop: bytes, seconds: float = 0.05) -> Answer:
    """`beginning`, then `drop` after `drop` for ever, slowly."""

    async def send(_: "Receiver", writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while True:
            await writer.drain()
            await asyncio.sleep(seconds)
            writer.write(drop)

    return send


def flood(beginning: bytes) -> Answer:
    """`beginning` and then 64 MiB as fast as they are taken; counted in `flooded_bytes`."""

    async def send(receiver: "Receiver", writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while receiver.flooded_bytes < FLOOD_BYTES:
            writer.write(CHUNK)
            await writer.drain()
            receiver.flooded_bytes += len(CHUNK)

    return send


def raw(reply: bytes) -> Answer:
    """Bytes as they are, HTTP or not; the connection is closed after them."""

    async def send(_: "Receiver", writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    return send


class Receiver:
    """Listens on loopback. `script` holds the answers to come; after its end all are 200.

    `scripts` holds those to one path, which come first. `requests` holds what came, `connections`
    counts also those that sent nothing.
    """

    def __init__(self, host: str = HOST) -> None:
        self.host = host
        self.script: list[Answer] = []
        self.scripts: dict[str, list[Answer]] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.flooded_bytes = 0
        self.stopped = asyncio.Event()
        self._port = free_port()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrived = Signal()

    @property
    def port(self) -> int:
        """The port, kept over restarts."""
        return self._port

    def url(self, path: str = "/hook", *, host: str | None = None) -> str:
        """A URL of this receiver, under another spelling of its host if given."""
        spelled = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{spelled}:{self._port}{path}"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self.stopped.clear()
        self._listener = await asyncio.start_server(self._accept, self.host, self._port)

    async def stop(self) -> None:
        """Refuse new connections and cut those there are."""
        if self._listener is None:
            return
        self.stopped.set()
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()
        self._listener = None

    async def until(self, count: int, timeout_seconds: float = 15.0) -> list[Request]:
        """All requests as soon as there are `count` of them. Raises WaitTimeout."""
        await self._arrived.until(
            lambda: len(self.requests) >= count,
            timeout_seconds,
            lambda: f"{len(self.requests)} of {count} requests came: {self.requests}",
        )
        return self.requests

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                request = await _read(reader)
                self.requests.append(request)
                script = self.scripts.get(request.path) or self.script
                reply = script.pop(0) if script else answer()
                self._arrived.notify()
                await reply(self, writer)
            finally:
                writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)
