"""The live feed of a job: followed while it runs, left in the middle, and taken up again."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, Worker

WORDS = ["a", "gate", "a", "fall", "a", "wheel"]


async def main() -> None:
    async def recite(ctx: JobContext) -> int:
        for word in WORDS:
            await ctx.emit({"word": word})
        return len(WORDS)

    async with open_queue() as queue:
        job_id = await queue.enqueue(Job())
        worker = Worker(queue, recite)
        running = asyncio.create_task(worker.start())
        place = "0"
        async for entry in queue.follow(job_id):
            print("first reader:", entry.value["word"])
            place = entry.id
            if entry.value["word"] == "fall":
                break
        # Somewhere else, perhaps in another process: behind the last entry that was seen.
        async for entry in queue.follow(job_id, after=place):
            print("second reader:", entry.kind, entry.value)
        await worker.stop()
        await running


asyncio.run(main())
