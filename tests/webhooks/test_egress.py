"""The guard: which addresses, in which spelling, and at which moment."""

from ipaddress import ip_address

import pytest
from aiohttp import ClientSession, InvalidURL

from penstock.core.errors import EgressRefusedError
from penstock.webhooks.addresses import refusal_of
from penstock.webhooks.egress import check_url, guarded_connector, parse_url
from tests.webhooks.conftest import MakeReceiver
from tests.webhooks.support import NameTable

PUBLIC = "93.184.215.14"

REFUSED = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"],
    "private": [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::c0a8:101",
    ],
    "link-local": ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"],
    "reserved": [
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "240.0.0.1",
        "255.255.255.255",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
    ],
}
ALLOWED = [PUBLIC, "8.8.8.8", "172.15.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"]
ALLOWED += ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]

# All of them are 127.0.0.1, 10.0.0.1 or 169.254.169.254, as one resolver or another reads them.
SPELLINGS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "0177.0.0.1",
    "017700000001",
    "00000177.1",
    "127.0.0.0x1",
    "10.0.1",
    "012.0.0.1",
    "167772161",
    "2852039166",
    "0xa9fea9fe",
    "169.16689662",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "①②⑦.⓪.⓪.①",
    "\uff11\uff12\uff17.1",
    "127。0。0。1",
    "localhost",
    "LOCALHOST.",
    "api.localhost",
    "0",
    "0.0.0.0",
]


@pytest.mark.parametrize(
    ("address", "kind"), [(address, kind) for kind, addresses in REFUSED.items() for address in addresses]
)
def test_addresses_that_are_not_public_are_refused(address: str, kind: str) -> None:
    assert kind in (refusal_of(ip_address(address)) or "")


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal_of(ip_address(address)) is None


def test_the_setting_allows_loopback_and_nothing_else() -> None:
    allowed = {
        address
        for addresses in REFUSED.values()
        for address in addresses
        if refusal_of(ip_address(address), allow_loopback=True) is None
    }
    assert allowed == set(REFUSED["loopback"])


@pytest.mark.parametrize("host", SPELLINGS)
def test_every_spelling_of_a_local_address_is_refused_early(host: str) -> None:
    with pytest.raises(EgressRefusedError):
        parse_url(f"http://{host}/hook")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "begins with http"),
        ("example.com/hook", "begins with http"),
        ("//example.com/hook", "begins with http"),
        ("ftp://example.com/", "begins with http"),
        ("file:///etc/passwd", "begins with http"),
        ("gopher://example.com:70/_x", "begins with http"),
        ("unix:///run/docker.sock", "begins with http"),
        ("http:///hook", "begins with http"),
        ("http://user:secret@example.com/", "user name"),
        ("http://user@example.com/", "user name"),
        ("http://example.com:0/", "port 0"),
        ("http://example.com:99999/", "cannot be read"),
        ("http://[::1", "cannot be read"),
        ("http://127.0.0.1\\@example.com/", "cannot be read"),
        ("http://example.com/\r\nHost: evil", "control characters"),
        ("http://exam ple.com/", "spaces"),
        ("http://127%2e0%2e0%2e1/", "not the name of a host"),
        ("http://a..b/", "not the name of a host"),
        (f"http://{'a' * 64}.com/", "not the name of a host"),
        (f"http://{'a.' * 130}com/", "not the name of a host"),
        (f"http://example.com/{'a' * 2048}", "2,067 characters"),
        ("http://127.1/", "unusual form"),
    ],
)
def test_a_url_that_is_none_for_webhooks_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(EgressRefusedError, match=reason):
        parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com:8443/hook?token=a%20b#part",
        "HTTPS://Example.COM./hook",
        "https://bücher.example/haken",
        "https://a_b.example/",
        f"http://{PUBLIC}/",
        "http://[2606:4700::1111]:8080/",
    ],
)
def test_ordinary_urls_pass(url: str) -> None:
    assert parse_url(url).raw_host


def test_the_reason_names_no_password() -> None:
    with pytest.raises(EgressRefusedError) as refused:
        parse_url("http://user:hunter2@example.com/")
    assert "hunter2" not in str(refused.value)


async def test_a_name_that_leads_inside_is_refused_early() -> None:
    with pytest.raises(EgressRefusedError, match="private address") as refused:
        await check_url("http://innocent.example/", source=NameTable(["10.9.8.7"]))
    assert "10.9.8.7" not in str(refused.value)


async def test_one_address_inside_among_others_is_enough() -> None:
    with pytest.raises(EgressRefusedError, match="link-local"):
        await check_url("http://both.example/", source=NameTable([PUBLIC, "::ffff:169.254.169.254"]))


async def test_a_name_that_is_not_found_now_passes() -> None:
    await check_url("http://nowhere.invalid/")


async def test_the_systems_resolver_is_asked_when_no_other_is_given() -> None:
    with pytest.raises(EgressRefusedError, match="loopback"):
        await check_url("http://localhost/")
    await check_url("http://localhost/", allow_loopback=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "localhost"]
)
async def test_no_spelling_reaches_loopback_through_the_connector(
    host: str, make_receiver: MakeReceiver
) -> None:
    receiver = await make_receiver()
    async with ClientSession(connector=guarded_connector()) as session:
        with pytest.raises((EgressRefusedError, InvalidURL)):
            await session.post(receiver.url(host=host))
    assert receiver.connections == 0


async def test_a_literal_ipv6_address_does_not_pass_by_the_guard(make_receiver: MakeReceiver) -> None:
    receiver = await make_receiver("::1")
    async with ClientSession(connector=guarded_connector()) as session:
        with pytest.raises(EgressRefusedError, match="loopback"):
            await session.post(receiver.url())
    assert receiver.connections == 0


async def test_a_name_that_changes_its_mind_is_judged_by_its_last_word(make_receiver: MakeReceiver) -> None:
    receiver = await make_receiver()
    names = NameTable([PUBLIC], ["127.0.0.1"])
    url = receiver.url(host="rebind.example")
    await check_url(url, source=names)
    async with ClientSession(connector=guarded_connector(source=names)) as session:
        with pytest.raises(EgressRefusedError, match="loopback"):
            await session.post(url)
    assert (receiver.connections, names.asked) == (0, 2)


async def test_a_name_is_looked_up_anew_for_every_connection(make_receiver: MakeReceiver) -> None:
    receiver = await make_receiver()
    names = NameTable(["127.0.0.1"], ["10.0.0.1"])
    url = receiver.url(host="rebind.example")
    connector = guarded_connector(allow_loopback=True, source=names)
    assert connector.force_close
    async with ClientSession(connector=connector) as session:
        async with session.post(url) as response:
            assert response.status == 200
        with pytest.raises(EgressRefusedError, match="private"):
            await session.post(url)
    assert receiver.connections == 1


async def test_the_socket_is_judged_even_if_the_name_was_not(
    make_receiver: MakeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = await make_receiver()
    monkeypatch.setattr("penstock.webhooks.egress.GuardedResolver.resolve", NameTable(["127.0.0.1"]).resolve)
    async with ClientSession(connector=guarded_connector()) as session:
        with pytest.raises(EgressRefusedError, match="loopback"):
            await session.post(receiver.url(host="innocent.example"))
    assert receiver.connections == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_loopback_is_reached_when_allowed(address: str, make_receiver: MakeReceiver) -> None:
    receiver = await make_receiver(address)
    async with (
        ClientSession(connector=guarded_connector(allow_loopback=True)) as session,
        session.post(receiver.url()) as response,
    ):
        assert response.status == 200
