"""Replay a job against changed code, offline, and fork it from the step that changed."""

import asyncio
from functools import partial
from typing import Any

from playground import open_queue

from penstock import Job, JobContext, Worker, replay

calls: list[str] = []


def work(name: str, *inputs: Any) -> str:
    calls.append(name)
    return f"{name}({', '.join(inputs)})"


async def report(ctx: JobContext) -> str:
    plan = await ctx.step("plan", partial(work, "plan", ctx.payload["topic"]))
    facts = await ctx.step("facts", partial(work, "facts", plan), inputs={"plan": plan})
    return await ctx.step("write", partial(work, "write", facts), inputs={"facts": facts})


async def report_with_style(ctx: JobContext) -> str:
    plan = await ctx.step("plan", partial(work, "plan", ctx.payload["topic"]))
    facts = await ctx.step("facts", partial(work, "facts", plan), inputs={"plan": plan})
    style = ctx.payload.get("style", "plain")
    return await ctx.step(
        "write", partial(work, "write", facts, style), inputs={"facts": facts, "style": style}
    )


async def main() -> None:
    async with open_queue() as queue:
        await queue.enqueue(Job({"topic": "weirs"}, id="report-1"))
        await Worker(queue, report).run_until_idle()
        print("ran:", calls)

        export = await queue.export_job("report-1")
        calls.clear()
        print((await replay(report, export)).text)
        changed = await replay(report_with_style, export)
        print("agrees:", changed.agrees, "at step", changed.step)

        forked = await queue.fork("report-1", "write", payload={"topic": "weirs", "style": "short"})
        await Worker(queue, report_with_style).run_until_idle()
        print("ran:", calls)
        print((await queue.get_status(forked)).result)


asyncio.run(main())
