"""A large tenant and a small one: each key has its turn, and runs no more than its limit at once."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, Worker


async def main() -> None:
    started = []

    async def handler(ctx: JobContext) -> None:
        started.append(ctx.payload["tenant"])

    async with open_queue() as queue:
        for tenant, jobs in (("large", 1000), ("small", 1)):
            await queue.enqueue_many(
                Job({"tenant": tenant}, concurrency_key=tenant, concurrency_limit=5) for _ in range(jobs)
            )
        await Worker(queue, handler, max_concurrent=1).run_until_idle()
    print(f"{len(started)} jobs, the small tenant's was number {started.index('small') + 1}")


asyncio.run(main())
