"""Three handlers that take too long, each stopped in its way: on the loop, in a thread, for its silence."""

import asyncio
import time

from playground import open_queue

from penstock import Job, JobContext, Worker


async def hangs(ctx: JobContext) -> None:
    await asyncio.Event().wait()


def counts(ctx: JobContext) -> str:
    while not ctx.cancelled:
        time.sleep(0.01)
    return "half of it"


async def streams(ctx: JobContext) -> None:
    for token in ("Hel", "lo"):
        await ctx.emit(token)
        await asyncio.sleep(0.2)
    await asyncio.Event().wait()


async def main() -> None:
    async with open_queue() as queue:
        await queue.enqueue(Job(id="loop", type="hangs", timeout_seconds=0.2, max_attempts=1))
        await queue.enqueue(Job(id="silent", type="streams", idle_timeout_seconds=0.5, max_attempts=1))
        await queue.enqueue(Job(id="thread", type="counts", timeout_seconds=0.2, max_attempts=1))
        await Worker(queue, {"hangs": hangs, "counts": counts, "streams": streams}).run_until_idle()
        for job_id in ("loop", "thread", "silent"):
            job = await queue.get_status(job_id)
            print(f"{job_id}: {job.status}, {job.error}")


asyncio.run(main())
