"""Bodies are refused as soon as they are larger than any run may be."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.api.problems import answer
from penstock.core.codec import PAYLOAD_LIMIT_BYTES


class BodyLimit:
    """ASGI middleware: 413 once more than the payload limit has arrived."""

    def __init__(self, app: ASGIApp) -> None:
        """Guard ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > PAYLOAD_LIMIT_BYTES:
            refusal = answer(
                413, f"the body is {int(declared):,} bytes, the limit is {PAYLOAD_LIMIT_BYTES:,}"
            )
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > PAYLOAD_LIMIT_BYTES:
                # An undeclared length: what follows is not read, and the JSON cannot be whole.
                return {"type": "http.request", "body": b"", "more_body": False}
            return message

        await self._app(scope, counted, send)
