"""A task and its schedule, for workers that the tests start by the command line."""

from penstock import CurrentJob, JobContext, Schedule, task
from tests.harness.ledger import record


@task(queue="pulse")
async def beat(number: int, ctx: JobContext = CurrentJob()) -> int:
    """Say that it ran."""
    record("start", job=ctx.id)
    return number


PULSE = Schedule.of(beat.job(7), name="pulse", cron="* * * * * *", catch_up="all")
