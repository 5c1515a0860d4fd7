"""A job that waits for days without a slot: for a person, for a time, and for a signal that may be early."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, ManualClock, SignalTimeoutError, Worker

DAY_SECONDS = 86_400


async def publish(ctx: JobContext) -> str:
    draft = await ctx.step("draft", lambda: f"a draft about {ctx.payload}")
    answer = await ctx.suspend("needs an editor")
    if not answer["approved"]:
        return "dropped"
    await ctx.sleep(7 * DAY_SECONDS)
    try:
        photo = await ctx.wait_for_signal("photo", timeout_seconds=DAY_SECONDS)
    except SignalTimeoutError:
        photo = "no photo"
    return f"{draft}, signed {answer['by']}, with {photo}"


async def main() -> None:
    clock = ManualClock()
    async with open_queue(clock=clock) as queue:

        async def look(when: str) -> None:
            await Worker(queue, publish, max_concurrent=1).run_until_idle()
            for job_id in ("weir", "mill"):
                job = await queue.get_status(job_id)
                print(f"{when}: {job.id} is {job.status}, attempts spent: {job.attempts}")

        await queue.enqueue_many([Job("weirs", id="weir"), Job("mills", id="mill")])
        await look("monday")
        # Before anybody waits for it: the wait will find it there.
        await queue.signal("weir", "photo", "a photo of a weir")
        for job_id in ("weir", "mill"):
            await queue.resume_job(job_id, {"approved": True, "by": "Ann"})
        await look("approved")
        clock.advance(days=7)
        await look("a week later")
        clock.advance(days=1)
        await look("a day later")
        for job_id in ("weir", "mill"):
            print((await queue.get_status(job_id)).result)


asyncio.run(main())
