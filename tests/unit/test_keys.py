"""The keys: all in one slot, no two alike, and as docs/keys.md describes them."""

import re
from pathlib import Path

import pytest

from penstock.store.keys import QueueKeys, registry
from tests.store.scene import LEFT

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "keys.md"
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMES = [name for name, value in vars(QueueKeys).items() if isinstance(value, property)]


def test_every_key_is_described_and_no_other() -> None:
    rows = ROW.findall(DOCUMENT.read_text("utf-8"))
    described = [key.split("<")[0] for key, _, _, _ in rows]
    keys = QueueKeys("penstock:", "q")
    assert sorted(described) == sorted([registry("penstock:"), *(getattr(keys, name) for name in NAMES)])
    assert all(kind in {"string", "hash", "list", "set", "stream", "zset", "none"} for _, kind, _, _ in rows)
    assert {key for key, _, _, goes in rows if goes.startswith("never")} == LEFT


def test_all_keys_of_a_queue_share_their_slot() -> None:
    keys = QueueKeys("p:", "a.b:c")
    assert all(getattr(keys, name).startswith("p:{a.b:c}:") for name in NAMES)


def test_no_two_keys_are_alike() -> None:
    keys = [
        getattr(QueueKeys("p:", queue, part), name) for queue in "ab" for part in (0, 1) for name in NAMES
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", NAMES)
def test_every_key_says_what_it_holds(name: str) -> None:
    assert getattr(QueueKeys, name).__doc__


def test_partitions_cannot_meet_another_queue() -> None:
    assert QueueKeys("p:", "q", 2).stream == "p:{q#2}:stream"
