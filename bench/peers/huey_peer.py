"""huey on Redis: one process with as many threads as the concurrency."""

from __future__ import annotations

import time

from huey import RedisHuey
from player import OPTIONS, PAYLOAD, TALLY, Player, become, blocking, hangs

huey = RedisHuey(OPTIONS["queue"], url=OPTIONS["url"], results=False, blocking=True)


@huey.task()
def noop(text: str) -> None:
    """Nothing."""
    TALLY.count()


@huey.task()
def hang(marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        time.sleep(3600)


def many(how_many: int) -> None:
    """There is no enqueue in bulk: one call after another."""
    for _ in range(how_many):
        noop(**PAYLOAD)


def work() -> None:
    """The command; threads, or processes for the fastest set-up."""
    kind, workers = OPTIONS.get("kind", "thread"), OPTIONS["concurrency"]
    words = ["huey_peer.huey", "-k", kind, "-w", str(workers), "--quiet"]
    if not OPTIONS.get("defaults"):
        words += ["--no-periodic", "--disable-health-check"]
    become("huey_consumer", *words)


PLAYER = Player(
    producer=blocking(lambda: noop(**PAYLOAD), many, hang),
    work=work,
    packages=("huey", "redis", "hiredis"),
    setting="RedisHuey(results=False, blocking=True), `huey_consumer -k thread -w <concurrency> "
    "--no-periodic --disable-health-check`; no bulk enqueue, so one call after another",
    best={"kind": "process", "concurrency": 2},
)
