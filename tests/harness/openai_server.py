"""A server that speaks the chat completions of the OpenAI API, answers by script and records every request.

    async with OpenAIServer(lambda asked: text("42")) as server:
        ...                                  # a client with base URL server.url
    assert len(server.requests) == 1

The script is a function of the request; what it raises is the test's failure. A request can be held
(`server.hold`) until it is released or its client goes away.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from penstock.store.embedded.ports import HOST
from tests.harness.waiting import Signal

Asked = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: a status, a body that is sent as it is, and further headers."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Script = Callable[[Asked], Reply]


def text(content: str) -> Reply:
    """A completion that is plain text."""
    return _completion({"role": "assistant", "content": content}, "stop")


def tool_call(name: str, arguments: dict[str, Any], call_id: str = "call_0") -> Reply:
    """A completion that calls one tool."""
    return tool_calls((name, arguments, call_id))


def tool_calls(*calls: tuple[str, dict[str, Any], str]) -> Reply:
    """A completion that calls several tools at once."""
    made = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for name, arguments, call_id in calls
    ]
    return _completion({"role": "assistant", "content": None, "tool_calls": made}, "tool_calls")


def problem(status: int, message: str, **headers: str) -> Reply:
    """An error as the API words it; `retry_after="1"` becomes a header Retry-After."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def tools_of(asked: Asked) -> set[str]:
    """The names of the tools that a request offers."""
    return {tool["function"]["name"] for tool in asked.get("tools", [])}


def tool_results(asked: Asked) -> list[Any]:
    """What the tools answered so far in the conversation of a request."""
    return [json.loads(one["content"]) for one in asked["messages"] if one["role"] == "tool"]


class OpenAIServer:
    """The server; use it in one event loop only. `requests` are the bodies in the order of arrival."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Asked] = []
        self.keys: list[str] = []
        self.script = script
        self._arrivals = Signal()
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def url(self) -> str:
        """The base URL for clients."""
        if self._server is None:
            raise RuntimeError("the server has not been started")
        return f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for link in self._links:
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)
            await self._server.wait_closed()
        if self._failures:
            raise BaseExceptionGroup("the scripted model failed", self._failures)

    async def asked(self, count: int, timeout_seconds: float = 30.0) -> None:
        """Return when `count` requests have arrived in all."""
        await self._arrivals.until(
            lambda: len(self.requests) >= count,
            timeout_seconds,
            lambda: f"{len(self.requests)} requests arrived, awaited {count}",
        )

    def hold(self) -> None:
        """From now on keep requests waiting for their answers."""
        self._open.clear()

    def release(self) -> None:
        """Answer what is held, and what comes."""
        self._open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        if link is not None:
            self._links.add(link)
            link.add_done_callback(self._links.discard)
        try:
            while await self._exchange(reader, writer):
                continue
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        except Exception as error:
            self._failures.append(error)
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        asked: Asked = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(asked)
        self.keys.append(headers.get("authorization", ""))
        self._arrivals.notify()
        await self._open.wait()
        reply = self.script(asked)
        writer.write(_rendered(reply))
        await writer.drain()
        return True


def _rendered(reply: Reply) -> bytes:
    headers = {"content-type": "application/json", "content-length": str(len(reply.body)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + reply.body


def _completion(message: dict[str, Any], finish_reason: str) -> Reply:
    return Reply(
        json.dumps(
            {
                "id": "chatcmpl-scripted",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "scripted",
                "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
            }
        ).encode()
    )
