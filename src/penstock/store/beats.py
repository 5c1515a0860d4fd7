"""Heartbeats over a synchronous connection, for the process that does nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from penstock.core.outcomes import Beat
from penstock.core.timings import LeaseTimings
from penstock.store.connect import translated
from penstock.store.engine import Engine, read_beat, renewal
from penstock.store.keys import QueueKeys
from penstock.store.portable import open_portable, portable_connection
from penstock.store.script_calls import BATCH
from penstock.store.scripts import load


class BeatLine:
    """One worker's line to the server for heartbeats."""

    def __init__(self, given: dict[str, Any], timings: LeaseTimings) -> None:
        """``given`` is what ``describe_beat_line`` made in the worker."""
        self._client = open_portable(given["connection"], timings.beat_seconds)
        self._keys = QueueKeys(given["prefix"], given["queue"], given["partition"])
        self._who = (given["worker_id"], given["incarnation"], given["info"])
        self._group = given["group"]
        self._keep_ms = given["keep_ms"]
        self._timings = timings
        self._where = "the server"
        self._now_ms: int | None = None

    def beat(self, leases: Sequence[tuple[str, str]], now_ms: int | None = None) -> Beat:
        """Renew all leases, 64 a call; at least one call, which also writes the pulse."""
        self._now_ms = now_ms
        lost: list[str] = []
        cancelled: list[str] = []
        once = renewal(self._timings, *self._who, starting=False)
        for at in range(0, max(len(leases), 1), BATCH):
            answer = read_beat(self._run("renew", once, leases[at : at + BATCH]))
            if answer.superseded:
                return answer
            lost += answer.lost
            cancelled += answer.cancelled
        return Beat(False, lost, cancelled)

    def let_go(self, blamed: Sequence[tuple[str, str]], spared: Sequence[tuple[str, str]]) -> None:
        """End the leases: the blamed ones are charged a crash when claimed, the spared ones nothing."""
        once = {"group": self._group, "keep_ms": self._keep_ms}
        outcomes = [(*lease, "lapse", "", 0, "") for lease in blamed]
        outcomes += [(*lease, "release", "", 0, "") for lease in spared]
        for at in range(0, len(outcomes), BATCH):
            self._run("settle", once, outcomes[at : at + BATCH])

    def _run(self, name: str, once: dict[str, Any], each: Sequence[Sequence[Any]]) -> Any:
        script = load(name)
        with translated(self._where):
            send = self._client.register_script(script.source)
            return send(
                script.keys_of(self._keys),
                script.arguments(once | {"now_ms": "" if self._now_ms is None else self._now_ms}, each),
            )


def describe_beat_line(
    engine: Engine, queue: str, worker_id: str, incarnation: str, info: str
) -> dict[str, Any]:
    """What the heartbeat process needs to beat for a worker, as JSON-able values."""
    return {
        "connection": portable_connection(engine.client),
        "prefix": engine.config.key_prefix,
        "queue": queue,
        "partition": 0,
        "group": engine.config.consumer_group,
        "keep_ms": engine.keep_ms,
        "worker_id": worker_id,
        "incarnation": incarnation,
        "info": info,
    }


def worker_info(**facts: Any) -> str:
    """What the registry of workers says about one, as compact JSON."""
    return json.dumps(facts, separators=(",", ":"))


def open_beat_line(given: dict[str, Any], timings: LeaseTimings) -> BeatLine:
    """Connect as described."""
    return BeatLine(given, timings)
