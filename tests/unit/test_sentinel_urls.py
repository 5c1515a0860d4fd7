"""URLs of masters behind Sentinel: what they mean, and what is said of a wrong one."""

import pytest

from penstock import ConfigurationError
from penstock.store.connect import describe, hide_password, open_client
from penstock.store.portable import portable_connection
from penstock.store.sentinel import parse


def test_all_that_a_url_can_say() -> None:
    url = "rediss+sentinel://us%40er:p%3Aw@one:1,[::1]:2,three/main/5?sentinel_username=a&sentinel_password=b"
    watched = parse(url, url)
    assert watched.sentinels == [("one", 1), ("::1", 2), ("three", 26379)]
    assert watched.master == "main"
    assert watched.connection == {"db": 5, "username": "us@er", "password": "p:w"}
    assert watched.sentinel_connection == {"username": "a", "password": "b"}
    assert watched.tls


def test_the_least_that_a_url_can_say() -> None:
    watched = parse("redis+sentinel://one/main", "")
    assert watched == ([("one", 26379)], "main", {"db": 0}, {}, False)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("one:1", "does not name the master"),
        ("/main", "names no sentinel"),
        ("one:1,,two:2/main", "one too many commas"),
        (":1/main", "has no host"),
        ("one:x/main", "'x' is not a port"),
        ("one:99999/main", "'99999' is not a port"),
        ("[::1/main", "closing bracket"),
        ("one/main/first", "'first' is not a number"),
        ("one/main?ssl=1", "unknown option 'ssl'"),
    ],
)
def test_a_wrong_url_is_refused_with_the_reason(rest: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a Sentinel URL") as caught:
        open_client(f"redis+sentinel://{rest}")
    assert reason in str(caught.value)
    assert "host:port,host:port/master/db" in str(caught.value)


def test_passwords_are_not_shown() -> None:
    url = "redis+sentinel://user:secret@one:1/main/x?sentinel_password=hidden"
    with pytest.raises(ConfigurationError) as caught:
        open_client(url)
    for text in (str(caught.value), hide_password(url)):
        assert "secret" not in text
        assert "hidden" not in text


def test_sentinels_and_a_cluster_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="cluster"):
        open_client("redis+sentinel://one/main", cluster=True)


async def test_a_client_says_whom_it_follows_and_travels() -> None:
    client = open_client("redis+sentinel://user:pw@one:1,two:2/main/3")
    assert describe(client) == "the master 'main' of the sentinels one:1,two:2"
    portable = portable_connection(client)
    assert '"kind": "sentinel"' in portable
    assert '"nodes": [["one", 1], ["two", 2]]' in portable
    assert '"db": 3' in portable
    await client.aclose()
