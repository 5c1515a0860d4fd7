"""The receiver of webhooks, in the demo's own process: it believes only what is signed."""

from __future__ import annotations

import json
from collections import Counter
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

HOST: Final = "127.0.0.1"
PATH: Final = "/webhooks/run-ended"


class Receiver:
    """Listens on loopback and verifies each webhook by the Standard Webhooks rules.

    `verified` has, by run, the event of the webhooks that were good; `deliveries` counts them by their
    id, so that repeated deliveries are seen; `refused` counts those that were not.
    """

    def __init__(self) -> None:
        self.verified: dict[str, str] = {}
        self.deliveries: Counter[str] = Counter()
        self.refused = 0
        self._secret: Webhook | None = None
        self._port = 0
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_post(PATH, self._receive)
        self._runner = web.AppRunner(app, access_log=None)

    @property
    def url(self) -> str:
        """Where webhooks are to go."""
        return f"http://{HOST}:{self._port}{PATH}"

    def trust(self, secret: str) -> None:
        """Verify by this secret from now on (`whsec_…`)."""
        self._secret = Webhook(secret)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            if self._secret is None:
                raise WebhookVerificationError("no secret is known yet")
            self._secret.verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return web.Response(status=401)
        said: dict[str, Any] = json.loads(body)
        self.deliveries[request.headers["webhook-id"]] += 1
        self.verified[said["run_id"]] = said["event"]
        return web.Response(status=204)
