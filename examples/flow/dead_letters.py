"""Jobs that failed for good: looked at, put back with an edited payload, discarded."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, Worker

ADDRESSES = {"ada": "ada@example.org", "bob": "bob@example.org"}


async def main() -> None:
    looked_up = []

    async def send(ctx: JobContext) -> str:
        draft = await ctx.step("draft", lambda: looked_up.append(ctx.job.id) or f"Dear {ctx.job.id}")
        return f"{draft}, to {ADDRESSES[ctx.payload['to']]}"

    async with open_queue() as queue:
        for job_id, name in (("m1", "adda"), ("m2", "bobb"), ("m3", "nobody")):
            await queue.enqueue(Job({"to": name}, "send", job_id, max_attempts=1))
        worker = Worker(queue, {"send": send}, max_concurrent=1)
        await worker.run_until_idle()

        letters = await queue.dead_letters.list()
        print("dead:", *sorted(f"{letter.job_id} ({letter.error})" for letter in letters))
        letter = await queue.dead_letters.get("m1")
        if letter is not None:
            print(f"m1: {letter.attempts} attempt, {letter.traceback.strip().splitlines()[-1]}")

        await queue.dead_letters.requeue("m1", payload={"to": "ada"})
        ADDRESSES["bobb"] = ADDRESSES["bob"]
        swept = await queue.dead_letters.requeue_many(error_contains="bobb", type="send")
        print("put back by their error:", *swept.done)
        await worker.run_until_idle()
        for job_id in ("m1", "m2"):
            job = await queue.get_status(job_id)
            if job is not None:
                print(f"{job_id}: {job.status}, {job.result}")
        print("drafts:", *sorted(looked_up))

        await queue.dead_letters.discard("m3")
        print("left:", len(await queue.dead_letters.list()))


asyncio.run(main())
