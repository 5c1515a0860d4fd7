"""Requests and tokens a minute, per provider: what a job books, what it reports, and a provider's pause."""

import asyncio
import time

from playground import open_queue

from penstock import Job, JobContext, RetryLater, Worker


async def main() -> None:
    calls = []

    async def ask(ctx: JobContext) -> str:
        calls.append((ctx.id, time.monotonic()))
        if ctx.id == "paused" and ctx.attempt == 1:
            raise RetryLater(0.5, "429: the provider asks for half a second")
        await ctx.report_usage(units=900)
        return "an answer"

    async with open_queue() as queue:
        # In no window of two seconds do more than 3 jobs start, nor jobs that book more than 3,000 units;
        # and one call at a time.
        await queue.limits.set("provider", jobs=3, units=3000, per_seconds=2, concurrency=1)
        await queue.enqueue_many(
            Job(id=job_id, rate_key="provider", rate_units=1000)
            for job_id in ("paused", "one", "two", "three")
        )
        worker = Worker(queue, ask, max_concurrent=1)
        running = asyncio.create_task(worker.start())
        for job_id in ("paused", "one", "two", "three"):
            await queue.result(job_id, timeout_seconds=30)
        await worker.stop()
        await running
    (first, asked_at), (_, next_at), *_ = calls
    print("first call:", first)
    print("calls:", len(calls), "for 4 jobs")
    print("nobody called while the key was paused:", next_at - asked_at >= 0.5)


asyncio.run(main())
