"""What jobs used, as they report it: summed per hour, and asked for by type and by key."""

import asyncio

from playground import open_queue

from penstock import Job, JobContext, Worker


async def main() -> None:
    async def ask(ctx: JobContext) -> None:
        await ctx.report_usage(tokens=len(ctx.payload["question"].split()), cost=0.5)

    async with open_queue() as queue:
        for tenant, question in (("north", "what is a penstock"), ("south", "why"), ("north", "how deep")):
            await queue.enqueue(Job({"question": question}, type="chat", concurrency_key=tenant))
        await Worker(queue, ask).run_until_idle()
        for row in await queue.usage():
            print(f"{row.name}: {row.amount:g}")
        for row in await queue.usage(by=("type", "key")):
            print(f"{row.type} of {row.key}: {row.amount:g} {row.name}")


asyncio.run(main())
