"""Jobs in an order: a chain, a group inside it, a chord, and a child added by a running job."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, Worker, chain, chord, group


async def fetch(ctx: JobContext) -> int:
    return int(ctx.payload["size"])


async def add(ctx: JobContext) -> int:
    parents = await ctx.parents()
    return sum(parent.result for parent in parents.values())


async def discover(ctx: JobContext) -> int:
    # The sum, which waits for this job, shall wait for what it finds too.
    await ctx.enqueue(Job({"size": 100}, type="fetch", joins=["total"]))
    return 1


async def fail(ctx: JobContext) -> None:
    raise ValueError("no such page")


async def main() -> None:
    async with open_queue() as queue:
        await queue.enqueue_many(
            chain(
                Job({"size": 1}, type="fetch", id="start"),
                group(Job({"size": 2}, type="fetch"), Job({"size": 3}, type="fetch")),
                Job(type="add", id="sum"),
            )
        )
        await queue.enqueue_many(
            chord([Job(type="discover"), Job({"size": 5}, type="fetch")], Job(type="add", id="total"))
        )
        # What a parent's failure means is the child's to say: cancel (the default), fail or run.
        await queue.enqueue_many(
            chain(Job(type="fail", id="broken"), Job(type="add", id="cancelled"), Job(type="add", id="too"))
        )
        anyway = Job({"size": 7}, type="fetch", id="anyway", on_parent_failure="run")
        await queue.enqueue_many(chain(Job(type="fail"), anyway))

        handlers = {"fetch": fetch, "add": add, "discover": discover, "fail": fail}
        await Worker(queue, handlers).run_until_idle()
        for job_id in ("sum", "total", "cancelled", "too", "anyway"):
            job = await queue.get_status(job_id)
            print(f"{job_id}: {job.status} {job.result if job.error is None else job.error}")


asyncio.run(main())
