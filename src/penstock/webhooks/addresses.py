"""Which IP addresses webhooks may go to: public ones, told apart without any I/O."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

LOOPBACK: Final = "a loopback address"
_PRIVATE: Final = "a private address"
_LINK_LOCAL: Final = "a link-local address"
_MULTICAST: Final = "a multicast address"
_RESERVED: Final = "a reserved address"
_UNSPECIFIED: Final = "an unspecified address"

# Written out, because the standard library's own judgement changes from one Python to the next.
_IPV4_REFUSED: Final = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", _UNSPECIFIED),
        ("10.0.0.0/8", _PRIVATE),
        ("100.64.0.0/10", _PRIVATE),
        ("127.0.0.0/8", LOOPBACK),
        # The instance metadata of most clouds is at 169.254.169.254.
        ("169.254.0.0/16", _LINK_LOCAL),
        # Public by its number, yet answered by the machine's own host in one cloud.
        ("168.63.129.16/32", _PRIVATE),
        ("172.16.0.0/12", _PRIVATE),
        ("192.0.0.0/24", _RESERVED),
        ("192.0.2.0/24", _RESERVED),
        ("192.88.99.0/24", _RESERVED),
        ("192.168.0.0/16", _PRIVATE),
        ("198.18.0.0/15", _RESERVED),
        ("198.51.100.0/24", _RESERVED),
        ("203.0.113.0/24", _RESERVED),
        ("224.0.0.0/4", _MULTICAST),
        ("240.0.0.0/4", _RESERVED),
    )
)
_IPV6_REFUSED: Final = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", _UNSPECIFIED),
        ("::1/128", LOOPBACK),
        ("fc00::/7", _PRIVATE),
        ("fe80::/10", _LINK_LOCAL),
        ("fec0::/10", _PRIVATE),
        ("ff00::/8", _MULTICAST),
        ("2001::/23", _RESERVED),
        ("2001:db8::/32", _RESERVED),
        # 6to4 carries any IPv4 address, private ones too, and nobody offers services there.
        ("2002::/16", _RESERVED),
        ("3fff::/20", _RESERVED),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# An IPv6 network's translator to IPv4; the address behind it stands in the last 32 bits.
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")


def parse_address(text: str) -> Address | None:
    """The address that ``text`` spells in its usual form, without a zone, else ``None``."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def refusal_of(address: Address, *, allow_loopback: bool = False) -> str | None:
    """What kind of address this is if webhooks may not go there, ``None`` if they may.

    IPv6 addresses that carry an IPv4 address (mapped, translated) are judged by that one.
    """
    judged = _carried(address) or address
    if isinstance(judged, IPv4Address):
        kind = next((kind for network, kind in _IPV4_REFUSED if judged in network), None)
    else:
        kind = next((kind for network, kind in _IPV6_REFUSED if judged in network), None)
        if kind is None and judged not in _GLOBAL_UNICAST:
            kind = _RESERVED
    return None if kind == LOOPBACK and allow_loopback else kind


def _carried(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped
