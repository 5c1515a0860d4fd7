"""Jobs that come again and again: at the slots of a cron expression, in a time zone, once each."""

import asyncio
from datetime import UTC, datetime

from playground import open_queue

from penstock import JobContext, ManualClock, Schedule, Worker


async def main() -> None:
    # A clock that is moved by hand, so that a week takes no time: it begins on a Friday.
    clock = ManualClock(round(datetime(2026, 3, 27, 12, tzinfo=UTC).timestamp() * 1000))
    ran = []

    async def report(ctx: JobContext) -> None:
        ran.append(ctx.job.metadata.get("slot", "now"))

    daily = Schedule(
        name="daily",
        cron="30 2 * * *",
        zone="Europe/Berlin",
        type="report",
        payload={"kind": "daily"},
        catch_up="all",
    )
    async with open_queue(clock=clock) as queue:
        worker = Worker(queue, {"report": report}, max_concurrent=1, schedules=[daily])
        await worker.run_until_idle()
        # On the 29th the clocks skip 02:30: the slot comes right after the gap, at 03:00.
        clock.advance(days=4)
        await worker.run_until_idle()
        print("slots:", *ran)

        await queue.schedules.pause("daily")
        clock.advance(days=2)
        await worker.run_until_idle()
        await queue.schedules.resume("daily")
        clock.advance(days=1)
        await worker.run_until_idle()
        print("after the pause:", ran[-1])

        await queue.schedules.run_now("daily")
        await worker.run_until_idle()
        print("beside its slots:", ran[-1])

        await queue.schedules.put(Schedule(name="pulse", cron="*/10 * * * * *", type="pulse"))
        for state in await queue.schedules.list():
            coming = datetime.fromtimestamp(state.next_at or 0, UTC)
            print(f"{state.schedule.name}: next {coming:%Y-%m-%d %H:%M:%S} UTC")
        await queue.schedules.remove("pulse")


asyncio.run(main())
