"""Whether a job runs: cancelled in any state, too late, or held by a paused queue."""

import asyncio
import contextlib
import time

from playground import open_queue

from penstock import Job, JobContext, Worker
from penstock.core.errors import JobCancelledError


async def main() -> None:
    is_running = asyncio.Event()

    async def handler(ctx: JobContext) -> None:
        if ctx.job.type == "long":
            is_running.set()
            await asyncio.sleep(3600)

    async with open_queue() as queue:
        await queue.enqueue(Job(id="long", type="long"))
        await queue.enqueue(Job(id="later", type="short"), delay_seconds=60)
        await queue.enqueue(Job(id="late", type="short", expires_at=time.time() - 1))
        worker = Worker(queue, handler)
        running = asyncio.create_task(worker.start())
        await is_running.wait()
        # A running handler is told at once, and is said to be cancelled when it has stopped.
        print("cancel:", await queue.cancel_many(["long", "later", "nobody"]))
        with contextlib.suppress(JobCancelledError):
            await queue.result("long")
        await worker.stop()
        await running
        for job_id in ("long", "later", "late"):
            job = await queue.get_status(job_id)
            print(f"{job_id}: {job.status}" + (f" ({job.error})" if job.error else ""))

        await queue.pause()
        await queue.enqueue(Job(id="held", type="short"))
        await Worker(queue, handler).run_until_idle()
        print("paused:", (await queue.get_status("held")).status)
        await queue.resume()
        await Worker(queue, handler).run_until_idle()
        print("resumed:", (await queue.get_status("held")).status)


asyncio.run(main())
