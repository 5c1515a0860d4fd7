"""Ten worker processes, a cron every second, SIGKILL and new starts: 60 slots, 60 jobs."""

import random
from pathlib import Path
from typing import Any

import pytest

from penstock import JobStatus, LeaseTimings
from tests.conftest import MakeQueue
from tests.harness.guardian import Guardian
from tests.harness.ledger import Ledger
from tests.worker.fleet import FileClock
from tests.worker.support import Workers, completed, starts, until

WORKERS, SECONDS = 10, 60
KILL_EVERY_SECONDS = 4
# Moved time passes several times as fast as real time: leases have to last that much longer.
TIMINGS = LeaseTimings(beat_seconds=1.0, presumed_dead_seconds=20.0)
TICK = {"name": "tick", "cron": "* * * * * *", "type": "quick", "catch_up": "all"}


@pytest.mark.slow
async def test_sixty_slots_make_sixty_jobs(
    workers: Workers, make_queue: MakeQueue, guardian: Guardian, ledger: Ledger
) -> None:
    dice, began = random.Random(1), 1_800_000_000
    time_file = Path(guardian.directory("clock")) / "now_ms"

    def move_to(second: int) -> None:
        # Replaced whole: a reader never sees half of it.
        fresh = time_file.with_suffix(".new")
        fresh.write_text(str((began + second) * 1000))
        fresh.replace(time_file)

    move_to(0)
    given: dict[str, Any] = {"clock": str(time_file), "schedules": [TICK], "timings": TIMINGS}
    crew = [await workers.start(**given) for _ in range(WORKERS)]
    queue = await make_queue("default", clock=FileClock(str(time_file)), timings=TIMINGS)
    assert [state.next_at for state in await queue.schedules.list()] == [began + 1]
    for second in range(1, SECONDS + 1):
        move_to(second)
        if second % KILL_EVERY_SECONDS == 0:
            crew.pop(dice.randrange(WORKERS)).kill()
            crew.append(await workers.start(**given))

        async def fired(second: int = second) -> bool:
            state = await queue.schedules.get("tick")
            return state is not None and state.last_at == began + second

        await until(fired, 30)
    ids = [f"cron:tick:20270115T08{second // 60:02}{second % 60:02}Z" for second in range(1, SECONDS + 1)]
    await queue.schedules.pause("tick")
    # The jobs that died with their workers come back when their leases are over, and any amnesty: a process
    # that read the moved clock and was then held up brings an old time, as if the clock had jumped back.
    client: Any = queue.client
    for second in range(SECONDS + 1, 10 * SECONDS):
        move_to(second)

        async def beaten(second: int = second) -> bool:
            return int(await client.get(queue.engine.keys.pulse)) >= (began + second) * 1000

        await until(beaten, 30)
        if (await queue.get_queue_stats())["completed"] == SECONDS:
            break
    await completed(queue, ids)
    stats = await queue.get_queue_stats()
    assert sum(stats[status] for status in JobStatus) == SECONDS
    assert set(starts(ledger)) == set(ids)
