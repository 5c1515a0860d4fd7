"""Celery on Redis: threads in one process; its prefork pool is measured beside them."""

from __future__ import annotations

import time

from celery import Celery
from player import OPTIONS, PAYLOAD, TALLY, Player, become, blocking, hangs

TOGETHER = 500
app = Celery("celery_peer", broker=OPTIONS["url"])
app.conf.task_default_queue = OPTIONS["queue"]
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
if not OPTIONS.get("defaults"):
    app.conf.task_ignore_result = True
    app.conf.worker_prefetch_multiplier = 16
    app.conf.worker_send_task_events = False
    app.conf.task_store_errors_even_if_ignored = False


@app.task(name="noop")
def noop(text: str) -> None:
    """Nothing."""
    TALLY.count()


@app.task(name="hang")
def hang(marker: str) -> None:
    """Wait for ever the first time."""
    if hangs(marker):
        time.sleep(3600)


def many(how_many: int) -> None:
    """There is no enqueue in bulk: one call after another on one open producer."""
    with app.producer_or_acquire() as producer:
        for _ in range(how_many):
            noop.apply_async(kwargs=PAYLOAD, producer=producer)


def one() -> None:
    """One job."""
    noop.apply_async(kwargs=PAYLOAD)


def work() -> None:
    """The command; early acknowledgement as by default."""
    pool, concurrency = OPTIONS.get("pool", "threads"), OPTIONS["concurrency"]
    words = ["-A", "celery_peer", "worker", "-P", pool, "-c", str(concurrency), "-l", "ERROR", "-Q"]
    words.append(OPTIONS["queue"])
    if not OPTIONS.get("defaults"):
        words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    become("celery", *words)


PLAYER = Player(
    producer=blocking(one, many, hang.delay),
    work=work,
    packages=("celery", "kombu", "redis", "hiredis"),
    setting="ignore_result, prefetch multiplier 16, early acknowledgement, `celery worker -P threads -c "
    "<concurrency> --without-gossip --without-mingle --without-heartbeat`; no bulk enqueue, so one call "
    "after another on one producer",
    best={"pool": "prefork", "concurrency": 2},
)
