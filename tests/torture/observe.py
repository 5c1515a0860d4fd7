"""Everything a queue holds on the server, read at once."""

from dataclasses import dataclass, field
from typing import Any, cast

from redis import Redis

from penstock.store.keys import QueueKeys
from tests.torture.model_parts import INDEXED

LANE_KEYS = {
    "normal": "stream",
    "high": "stream:high",
    "low": "stream:low",
    "suspects": "stream:suspects",
    "keyed": "stream:keyed",
}
#: How a key is read, by what its name begins with; those that are not here are only seen to be there.
READS: dict[str, tuple[Any, ...]] = {
    "stream": ("XRANGE", "-", "+"),
    "dlq": ("XRANGE", "-", "+"),
    "events": ("XRANGE", "-", "+"),
    "live": ("XRANGE", "-", "+"),
    "crossings": ("XRANGE", "-", "+"),
    "leases": ("ZRANGE", 0, -1, "WITHSCORES"),
    "scheduled": ("ZRANGE", 0, -1, "WITHSCORES"),
    "index": ("ZRANGE", 0, -1, "WITHSCORES"),
    "line": ("ZRANGE", 0, -1, "WITHSCORES"),
    "turns": ("ZRANGE", 0, -1, "WITHSCORES"),
    "asleep": ("ZRANGE", 0, -1, "WITHSCORES"),
    "pauses": ("ZRANGE", 0, -1, "WITHSCORES"),
    "timers": ("ZRANGE", 0, -1, "WITHSCORES"),
    "cron_due": ("ZRANGE", 0, -1, "WITHSCORES"),
    "counts": ("HGETALL",),
    "workers": ("HGETALL",),
    "credits": ("HGETALL",),
    "limits": ("HGETALL",),
    "job": ("HGETALL",),
    "steps": ("HGETALL",),
    "inputs": ("HGETALL",),
    "signals": ("HGETALL",),
    "usage": ("HGETALL",),
    "cron": ("HGETALL",),
    "bell": ("LRANGE", 0, -1),
    "starts": ("LRANGE", 0, -1),
    "booked": ("LRANGE", 0, -1),
    "fanout": ("LRANGE", 0, -1),
    "holders": ("SMEMBERS",),
    "parents": ("SMEMBERS",),
    "children": ("SMEMBERS",),
    "unique": ("GET",),
    "spent": ("GET",),
    "paused": ("GET",),
}
#: Keys that belong to one job and go by themselves when it has ended unrecorded.
OF_A_JOB = ("job", "payload", "result", "steps", "inputs", "signals", "live")


@dataclass
class Snapshot:
    """What the server holds: keys without what they all begin with, and their content as text."""

    content: dict[str, Any] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    kept_for: dict[str, int] = field(default_factory=dict)
    delivered: dict[str, set[str]] = field(default_factory=dict)

    def hash(self, name: str) -> dict[str, str]:
        """A hash, empty if it is not there or no hash."""
        value = self.content.get(name)
        return value if isinstance(value, dict) else {}

    def scores(self, name: str) -> dict[str, int]:
        """A sorted set in its order."""
        return cast("dict[str, int]", self.content.get(name, {}))

    def stream(self, name: str) -> list[tuple[str, dict[str, str]]]:
        """Entries of a stream."""
        return cast("list[tuple[str, dict[str, str]]]", self.content.get(name, []))

    def of_kind(self, kind: str) -> dict[str, Any]:
        """Content of all keys that begin so, by what follows."""
        return {
            name.partition(":")[2]: value
            for name, value in self.content.items()
            if name.partition(":")[0] == kind and ":" in name
        }

    @property
    def lanes(self) -> dict[str, list[tuple[str, str]]]:
        """Message ids and job ids of each lane."""
        return {
            lane: [(message_id, fields["id"]) for message_id, fields in self.stream(key)]
            for lane, key in LANE_KEYS.items()
        }

    @property
    def index(self) -> dict[str, dict[str, int]]:
        """The indexes of all statuses that have one."""
        return {status: self.scores(f"index:{status}") for status in INDEXED}

    @property
    def bell(self) -> int:
        """Tokens that wait."""
        return len(self.content.get("bell", []))

    @property
    def hashes(self) -> dict[str, dict[str, str]]:
        """The hash of each job; empty for one that is no hash."""
        return {name.removeprefix("job:"): self.hash(name) for name in self.keys if name.startswith("job:")}


def read(client: Redis, keys: QueueKeys, group: str) -> Snapshot:
    """Read the whole queue. Nothing else may write meanwhile."""
    found = cast("list[bytes]", client.keys("*"))
    seen = Snapshot(keys={key.decode().removeprefix(keys.home) for key in found})
    names = sorted(seen.keys)
    pipe: Any = client.pipeline(transaction=False)
    asked: list[tuple[str, str]] = []
    for name in names:
        kind = name.partition(":")[0]
        if kind in READS:
            command, *rest = READS[kind]
            how = {"withscores": True} if "WITHSCORES" in rest else {}
            pipe.execute_command(command, keys.home + name, *rest, **how)
            asked.append(("content", name))
        if kind in OF_A_JOB:
            pipe.pttl(keys.home + name)
            asked.append(("kept_for", name))
    for lane, name in LANE_KEYS.items():
        if name in seen.keys:
            pipe.execute_command("XPENDING", keys.home + name, group, "-", "+", 1000, parse_detail=True)
            asked.append(("delivered", lane))
    answers = pipe.execute(raise_on_error=False) if asked else []
    for (where, name), answer in zip(asked, answers, strict=True):
        _note(seen, where, name, answer)
    return seen


def _note(seen: Snapshot, where: str, name: str, answer: Any) -> None:
    if isinstance(answer, Exception):
        return
    if where == "kept_for":
        seen.kept_for[name] = answer
    elif where == "delivered":
        seen.delivered[name] = {entry["message_id"].decode() for entry in answer}
    else:
        seen.content[name] = _plain(answer)


def _plain(answer: Any) -> Any:
    """The client's answer as text; scores as integers."""
    if isinstance(answer, bytes):
        return answer.decode(errors="replace")
    if isinstance(answer, dict):
        return {_plain(name): _plain(value) for name, value in answer.items()}
    if isinstance(answer, set):
        return {_plain(value) for value in answer}
    return _plain_list(answer) if isinstance(answer, list) else answer


def _plain_list(answer: list[Any]) -> Any:
    if answer and isinstance(answer[0], tuple):
        if isinstance(answer[0][1], float):
            return {_plain(member): int(score) for member, score in answer}
        return [(_plain(entry_id), _plain(fields)) for entry_id, fields in answer]
    return [_plain(value) for value in answer]
