"""The guard on outgoing webhooks: no URL reaches what only this network can see.

A URL is judged when it is given and, what counts, at every connection: once for all addresses its
name resolves to at that moment, and once for the very address a socket is made for. Between the
second judgement and the connection there is nothing left that could answer differently.
"""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any, Final

from aiohttp import TCPConnector, ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from penstock.core.errors import EgressRefusedError
from penstock.webhooks.addresses import LOOPBACK, parse_address, refusal_of

LONGEST_URL: Final = 2048
LONGEST_HOST: Final = 253
LOOKUP_SECONDS: Final = 2.0
_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
# What resolvers read as an IPv4 address: 127.1, 0x7f.0.0.1, 017700000001, 2130706433.
_NUMERIC: Final = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)


def parse_url(url: str, *, allow_loopback: bool = False) -> URL:
    """The URL as connections will be made to it; asks no name server.

    Raises ``EgressRefusedError`` for anything but ``http`` and ``https``, for user names and
    passwords, and for hosts that are, by their mere spelling, no public ones.
    """
    if len(url) > LONGEST_URL:
        raise EgressRefusedError(f"the webhook URL has {len(url):,} characters, the limit is {LONGEST_URL:,}")
    if not url.isprintable() or " " in url:
        raise EgressRefusedError("the webhook URL holds spaces or control characters: encode them")
    try:
        parsed = URL(url)
        host, port = parsed.raw_host, parsed.port
    except ValueError as error:
        raise EgressRefusedError(f"the webhook URL cannot be read: {error}") from None
    if parsed.scheme not in {"http", "https"} or not host:
        raise EgressRefusedError("a webhook URL begins with http:// or https:// and names a host")
    if not port:
        raise EgressRefusedError("the webhook URL names port 0: expected 1 to 65535")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise EgressRefusedError("a webhook URL may not carry a user name or a password")
    _check_host(host, allow_loopback=allow_loopback)
    return parsed


async def check_url(
    url: str, *, allow_loopback: bool = False, source: AbstractResolver | None = None
) -> None:
    """Refuse early, with ``EgressRefusedError``, a URL whose webhooks would not be sent.

    The name is looked up for at most two seconds. One that cannot be found now passes: it may be
    found when the webhook is sent, and will be judged again then.
    """
    parsed = parse_url(url, allow_loopback=allow_loopback)
    resolver = GuardedResolver(allow_loopback=allow_loopback, source=source)
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            await resolver.resolve(parsed.raw_host or "", parsed.port or 0, socket.AF_UNSPEC)
    except (OSError, TimeoutError):
        return


def guarded_connector(
    *, allow_loopback: bool = False, source: AbstractResolver | None = None
) -> TCPConnector:
    """A connector that opens connections to allowed addresses only.

    It keeps no connection and no answer of a name server, so nothing is judged by what was true
    before. Raises ``EgressRefusedError`` from within a request.
    """

    def make_socket(address_info: Any) -> socket.socket:
        # A literal address never meets the resolver, so this is where all of them pass.
        family, kind, protocol, _, (host, *_) = address_info
        _judge(host, host, allow_loopback=allow_loopback)
        return socket.socket(family, kind, protocol)

    return TCPConnector(
        resolver=GuardedResolver(allow_loopback=allow_loopback, source=source),
        socket_factory=make_socket,
        use_dns_cache=False,
        force_close=True,
    )


class GuardedResolver(AbstractResolver):
    """Looks names up through ``source`` and refuses a name if any of its addresses is refused."""

    def __init__(self, *, allow_loopback: bool = False, source: AbstractResolver | None = None) -> None:
        """``source`` is the system's resolver unless given; it stays the caller's."""
        self._allow_loopback = allow_loopback
        self._source = source or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host``; raises ``EgressRefusedError`` or, if there are none, ``OSError``."""
        found = await self._source.resolve(host, port, family)
        for result in found:
            _judge(result["host"], host, allow_loopback=self._allow_loopback)
        return found

    async def close(self) -> None:
        """Nothing to close: the source is the caller's."""


def _check_host(host: str, *, allow_loopback: bool) -> None:
    # A last dot only says that the name is complete.
    bare = host.removesuffix(".").lower()
    if ":" in bare or parse_address(bare) is not None:
        _judge(bare, host, allow_loopback=allow_loopback)
        return
    if _NUMERIC.fullmatch(bare):
        raise EgressRefusedError(
            f"{host!r} is an IP address in an unusual form: write it as four decimal numbers"
        )
    if len(bare) > LONGEST_HOST or not _HOST.fullmatch(bare):
        raise EgressRefusedError(f"{host[:LONGEST_HOST]!r} is not the name of a host")
    if (bare == "localhost" or bare.endswith(".localhost")) and not allow_loopback:
        raise EgressRefusedError(_message(host, LOOPBACK))


def _judge(spelled: str, host: str, *, allow_loopback: bool) -> None:
    address = parse_address(spelled)
    kind = "no plain address" if address is None else refusal_of(address, allow_loopback=allow_loopback)
    if kind is not None:
        raise EgressRefusedError(_message(host, kind))


def _message(host: str, kind: str) -> str:
    # The name alone: what it resolves to is nobody's business outside this network.
    allowed = "; PENSTOCK_WEBHOOKS_ALLOW_LOOPBACK=1 allows it, for development" if kind == LOOPBACK else ""
    return f"{host!r} is or resolves to {kind}: webhooks go to public addresses only{allowed}"
