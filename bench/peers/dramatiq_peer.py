"""dramatiq on Redis: one process with as many threads as the concurrency."""

from __future__ import annotations

import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from player import OPTIONS, PAYLOAD, TALLY, Player, become, blocking, hangs

# Only what a plain job needs: no age limit, no shutdown notices, no callbacks, no time limit.
MIDDLEWARE = None if OPTIONS.get("defaults") else []
broker = RedisBroker(url=OPTIONS["url"], middleware=MIDDLEWARE)
dramatiq.set_broker(broker)
QUEUE = OPTIONS["queue"]


@dramatiq.actor(queue_name=QUEUE)
def noop(text: str) -> None:
    """Nothing."""
    TALLY.count()


@dramatiq.actor(queue_name=QUEUE)
def hang(marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        time.sleep(3600)


def many(how_many: int) -> None:
    """There is no enqueue in bulk: one call after another."""
    for _ in range(how_many):
        noop.send(**PAYLOAD)


def work() -> None:
    """The command, with one process unless told otherwise."""
    processes, threads = OPTIONS.get("processes", 1), OPTIONS["concurrency"]
    become("dramatiq", "dramatiq_peer", "-p", str(processes), "-t", str(threads), "--skip-logging")


PLAYER = Player(
    producer=blocking(lambda: noop.send(**PAYLOAD), many, hang.send),
    work=work,
    packages=("dramatiq", "redis", "hiredis"),
    setting="middleware=[], `dramatiq -p 1 -t <concurrency>`; no bulk enqueue, so one call after another",
    best={"processes": 2, "concurrency": 8},
)
