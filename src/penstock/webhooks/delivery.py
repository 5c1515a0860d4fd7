"""Deliveries: the jobs that send webhooks, one signed POST an attempt."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, InvalidURL
from aiohttp.abc import AbstractResolver
from yarl import URL

from penstock.core.errors import (
    ConfigurationError,
    DeliveryFailedError,
    DeliveryRejectedError,
    EgressRefusedError,
    InvalidJobError,
)
from penstock.core.retry import JITTER, retry_after_seconds
from penstock.core.settings import ServiceSettings
from penstock.webhooks.egress import guarded_connector, parse_url
from penstock.webhooks.signing import secret_of, signed_headers
from penstock.worker.context import JobContext

DELIVERY_TYPE: Final = "webhook"
LONGEST_CONNECT_SECONDS: Final = 5.0
LONGEST_BACKOFF_SECONDS: Final = 3600.0
KEPT_BODY_BYTES: Final = 1024
BODY_SECONDS: Final = 1.0
READ_BUFFER_BYTES: Final = 4096
#: Answers below 500 after which another try may do better.
RETRIED_STATUSES: Final = frozenset({408, 409, 425, 429})
_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "Penstock-Webhooks",
    # Nothing is unpacked here, so a small answer cannot grow into a large one.
    "Accept-Encoding": "identity",
}

DeliveryHandler: TypeAlias = "Callable[[JobContext], Coroutine[Any, Any, dict[str, Any]]]"


class DeliveryOrder(msgspec.Struct, forbid_unknown_fields=False):
    """The part of a ``webhook`` job's payload that a delivery needs.

    ``body`` is sent as JSON. It is signed with ``secret`` if there is one, else with the secret of ``actor``.
    """

    url: str
    body: Any
    actor: str | None = None
    secret: str | None = None


class Reply(NamedTuple):
    """What a receiver answered: status, ``Retry-After`` as it came, the beginning of the body."""

    status: int
    retry_after: str | None
    excerpt: str


def delivery_handler(settings: ServiceSettings, *, source: AbstractResolver | None = None) -> DeliveryHandler:
    """The handler of ``webhook`` jobs, for a worker on the webhook queue.

    It returns ``{"status": …, "duration_ms": …}`` once the receiver has answered 2xx. It holds nothing
    open between two deliveries, so nothing needs closing when its worker stops. ``source`` looks names
    up in place of the system's resolver. Raises ``ConfigurationError`` without a ``secret_key``.
    """
    if settings.secret_key is None:
        raise ConfigurationError(
            "webhooks cannot be signed: set PENSTOCK_SECRET_KEY (32 characters or more), "
            "the same for all processes of the service"
        )
    return Courier(settings, source=source).deliver


class Courier:
    """Sends webhooks, each over a connection of its own.

    A kept connection would save a handshake, but it may have been closed by the receiver just when the
    next webhook is written to it, and it goes where a name pointed some time ago. Cookies end with the
    connection, too.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        timeout_seconds: float | None = None,
        source: AbstractResolver | None = None,
    ) -> None:
        """``timeout_seconds`` bounds a whole attempt, in place of the settings'."""
        self._settings = settings
        self._timeout_seconds = timeout_seconds or settings.webhook_timeout_seconds
        self._source = source

    async def deliver(self, context: JobContext) -> dict[str, Any]:
        """One attempt of a ``webhook`` job.

        Raises ``DeliveryFailedError`` when another try may do better, ``DeliveryRejectedError``,
        ``EgressRefusedError`` or ``InvalidJobError`` when none will.
        """
        order = _order_of(context)
        url = parse_url(order.url, allow_loopback=self._settings.webhooks_allow_loopback)
        body = msgspec.json.encode(order.body)
        headers = signed_headers(self._secret_for(order), context.id, datetime.now(UTC), body.decode())
        began = time.monotonic()
        backoff = backoff_seconds(self._settings.webhook_backoff_base, context.attempt)
        reply = await self._post(url, body, headers, backoff)
        judge(reply, _place(url), backoff)
        return {"status": reply.status, "duration_ms": round((time.monotonic() - began) * 1000)}

    def _secret_for(self, order: DeliveryOrder) -> str:
        if order.secret is not None:
            return order.secret
        if order.actor is None:
            raise InvalidJobError("a webhook job names neither an actor nor a secret to sign with")
        return secret_of(self._settings.secret_key or "", order.actor)

    async def _post(self, url: URL, body: bytes, headers: dict[str, str], backoff: float) -> Reply:
        # Without the causes: their messages may hold the whole URL, and with it a receiver's token.
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(url, body, headers)
        except TimeoutError:
            raise DeliveryFailedError(
                f"{_place(url)} did not answer within {self._timeout_seconds:g} s", backoff
            ) from None
        except InvalidURL:
            raise EgressRefusedError(f"{_place(url)} is no address that can be connected to") from None
        except (ClientError, OSError) as error:
            raise DeliveryFailedError(f"{_place(url)} {_trouble(error)}", backoff) from None

    async def _send(self, url: URL, body: bytes, headers: dict[str, str]) -> Reply:
        connector = guarded_connector(
            allow_loopback=self._settings.webhooks_allow_loopback, source=self._source
        )
        async with (
            ClientSession(
                connector=connector,
                timeout=ClientTimeout(sock_connect=min(self._timeout_seconds, LONGEST_CONNECT_SECONDS)),
                auto_decompress=False,
                trust_env=False,
                read_bufsize=READ_BUFFER_BYTES,
            ) as session,
            session.post(url, data=body, headers=_HEADERS | headers, allow_redirects=False) as response,
        ):
            return Reply(response.status, response.headers.get("Retry-After"), await _beginning_of(response))


def backoff_seconds(base: float, attempt: int) -> float:
    """The wait after failed attempt ``attempt`` (from 1): ``base ** attempt`` ± 20 %, at most an hour."""
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
    return min(base**attempt, LONGEST_BACKOFF_SECONDS) * spread


def judge(reply: Reply, place: str, backoff: float) -> None:
    """Return for a delivered webhook; raise ``DeliveryFailedError`` or ``DeliveryRejectedError`` else.

    A wait that the receiver asked for wins over ``backoff`` seconds.
    """
    if 200 <= reply.status < 300:  # noqa: PLR2004 - the class of statuses that mean success
        return
    text = f"{place} answered {reply.status}"
    if 300 <= reply.status < 400:  # noqa: PLR2004 - the class of statuses that redirect
        text += ", and redirects are not followed"
    if reply.excerpt:
        text += f": {reply.excerpt}"
    if reply.status < 500 and reply.status not in RETRIED_STATUSES:  # noqa: PLR2004 - from 500 on, it is the server
        raise DeliveryRejectedError(text)
    error = DeliveryFailedError(text, reply.retry_after or backoff)
    if retry_after_seconds(error) is None:
        error.retry_after = backoff
    raise error


def _order_of(context: JobContext) -> DeliveryOrder:
    try:
        return msgspec.convert(context.payload, DeliveryOrder)
    except msgspec.ValidationError as error:
        raise InvalidJobError(f"the payload of webhook job {context.id} cannot be used: {error}") from None


async def _beginning_of(response: ClientResponse) -> str:
    """At most 1 KiB of the body on one line; less when the rest is slow or broken off."""
    kept = b""
    # The status has come, and it decides: nothing about the body can change the outcome any more.
    with contextlib.suppress(TimeoutError, ClientError, OSError):
        async with asyncio.timeout(BODY_SECONDS):
            while len(kept) < KEPT_BODY_BYTES:
                chunk = await response.content.read(KEPT_BODY_BYTES - len(kept))
                if not chunk:
                    break
                kept += chunk
    text = " ".join(kept.decode(errors="replace").split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _place(url: URL) -> str:
    # Path and query stay out of every message: receivers put tokens there.
    return f"{url.scheme}://{url.host_port_subcomponent}"


def _trouble(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or error
    reason = getattr(cause, "strerror", None) or type(cause).__name__
    return f"could not be reached or broke off ({reason})"
