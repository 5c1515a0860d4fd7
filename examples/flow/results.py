"""Waiting for results: one, many at once, one that failed, and one that takes too long."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, JobFailedError, Worker


async def main() -> None:
    async def divide(ctx: JobContext) -> float:
        if ctx.payload["by"] == 0:
            raise ValueError("nothing can be divided by 0")
        return float(ctx.payload["number"] / ctx.payload["by"])

    async with open_queue() as queue:
        ids = await queue.enqueue_many(
            [Job({"number": 12, "by": by}, id=f"by-{by}", result_ttl_seconds=3600) for by in (1, 2, 3, 0)]
        )
        waiting = asyncio.gather(*(queue.result(job_id) for job_id in ids), return_exceptions=True)
        try:
            await queue.result("by-1", timeout_seconds=0.1)
        except TimeoutError as error:
            print(error)
        await Worker(queue, divide).run_until_idle()
        for job_id, answer in zip(ids, await waiting, strict=True):
            if isinstance(answer, JobFailedError):
                print(job_id, "failed in attempt", answer.job.attempts, "with", answer.job.error)
            else:
                print(job_id, answer)


asyncio.run(main())
