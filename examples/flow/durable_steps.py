"""Durable steps: side by side, tried again in place, and never twice, whatever becomes of the attempt."""

import asyncio
from functools import partial

from playground import open_queue

from penstock import Job, JobContext, RetryLater, RetryPolicy, Worker


async def main() -> None:
    calls: list[str] = []

    async def transcribe(part: str) -> str:
        calls.append(f"transcribe {part}")
        return f"words of {part}"

    async def summarise(words: list[str]) -> str:
        calls.append("summarise")
        if calls.count("summarise") == 1:
            raise RetryLater(0.1, "429: the provider asks for a tenth of a second")
        return f"a summary of {len(words)} parts"

    async def report(ctx: JobContext) -> str:
        words = await asyncio.gather(
            *(ctx.step(f"transcribe-{part}", partial(transcribe, part)) for part in ctx.payload["parts"])
        )
        summary = await ctx.step(
            "summarise", partial(summarise, words), inputs={"words": words}, retry=RetryPolicy(max_attempts=3)
        )
        if ctx.attempt == 1:
            raise ConnectionError("the mail server is away")
        return f"{summary}, sent in attempt {ctx.attempt}"

    async with open_queue() as queue:
        await queue.enqueue(Job({"parts": ["one", "two"]}, id="report"))
        worker = Worker(queue, report, retry_policy=RetryPolicy(base_delay_seconds=0.1))
        running = asyncio.create_task(worker.start())
        print(await queue.result("report", timeout_seconds=30))
        await worker.stop()
        await running
    print("transcribed:", calls.count("transcribe one"), "and", calls.count("transcribe two"), "times")
    print("asked for a summary:", calls.count("summarise"), "times in one attempt")


asyncio.run(main())
