"""RQ: one job at a time in a process."""

from __future__ import annotations

import time
from typing import Any

from player import OPTIONS, PAYLOAD, TALLY, Player, blocking, hangs
from redis import Redis
from rq import Queue, SimpleWorker, Worker

TOGETHER = 500
DEFAULTS = bool(OPTIONS.get("defaults"))
KEPT: dict[str, Any] = {} if DEFAULTS else {"result_ttl": 0, "failure_ttl": 0}
connection = Redis.from_url(OPTIONS["url"])
queue = Queue(OPTIONS["queue"], connection=connection, serializer="json")


def noop(text: str) -> None:
    """Nothing."""
    TALLY.count()


def hang(marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        time.sleep(3600)


def one() -> None:
    """One job."""
    queue.enqueue("rq_peer.noop", kwargs=PAYLOAD, **KEPT)


def many(how_many: int) -> None:
    """Pipelines of 500."""
    for done in range(0, how_many, TOGETHER):
        share = min(TOGETHER, how_many - done)
        queue.enqueue_many(
            [Queue.prepare_data("rq_peer.noop", kwargs=dict(PAYLOAD), **KEPT) for _ in range(share)]
        )


def work() -> None:
    """SimpleWorker, which does not fork for each job; the default worker for recovery."""
    kind = Worker if DEFAULTS else SimpleWorker
    worker = kind([queue], connection=connection, serializer="json", log_job_description=False)
    worker.work(logging_level="ERROR")


_ONE_AT_A_TIME = "a worker process of RQ runs one job at a time"

PLAYER = Player(
    producer=blocking(one, many, lambda marker: queue.enqueue("rq_peer.hang", marker)),
    work=work,
    packages=("rq", "redis", "hiredis"),
    setting="SimpleWorker (no fork for each job), JSON, result_ttl=0; one job at a time in a process; bulk "
    "with enqueue_many of 500",
    unable=dict.fromkeys(("drain.16", "drain.100", "drain.500"), _ONE_AT_A_TIME),
)
