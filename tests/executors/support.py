"""What the executor tests share: running goals in this loop, and a scripted model for the agent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock import Job, RedisStreamsQueue, RetryPolicy, Worker
from penstock.core.settings import ServiceSettings
from penstock.executors.agent import AGENT_TYPE, agent_handler
from tests.harness.openai_server import Asked, Reply, tool_call, tool_results, tools_of

QUICK_RETRIES = RetryPolicy(1000, base_delay_seconds=0.05, max_delay_seconds=0.2, jitter=False)
SCRIPTED = "openai:scripted"


async def work(queue: RedisStreamsQueue, handlers: Any) -> Worker:
    """Run what is ready in this loop, to its end."""
    worker = Worker(queue, handlers, retry_policy=QUICK_RETRIES)
    await worker.run_until_idle()
    return worker


async def finished(queue: RedisStreamsQueue, job_id: str) -> Job:
    """The job, which must be there."""
    job = await queue.get_status(job_id)
    assert job is not None
    return job


class Agents:
    """Runs goals through the agent executor over one workspace."""

    def __init__(self, queue: RedisStreamsQueue, workspace: Path, **settings: Any) -> None:
        self.queue = queue
        self.workspace = workspace
        self.settings = ServiceSettings(workspace=workspace, **settings)

    async def run_all(self, goals: list[str], **payload: Any) -> list[Job]:
        """Run each goal as a job of its own; the finished jobs in the order of the goals."""
        jobs = [Job(payload={"goal": goal, **payload}, type=AGENT_TYPE, max_attempts=3) for goal in goals]
        ids = await self.queue.enqueue_many(jobs)
        await work(self.queue, {AGENT_TYPE: agent_handler(self.settings)})
        return [await finished(self.queue, job_id) for job_id in ids]

    async def run(self, goal: str, **payload: Any) -> Job:
        """Run one goal; the finished job."""
        return (await self.run_all([goal], **payload))[0]

    async def answer(self, goal: str, **payload: Any) -> str:
        """The answer to a goal, which must be reached."""
        job = await self.run(goal, **payload)
        assert job.result is not None, f"{goal!r} failed: {job.error}"
        return str(job.result["answer"])


def counting_agent(asked: Asked) -> Reply:
    """A model that plans two steps, counts the words of notes.txt by tool, writes them, and answers."""
    tools, results = tools_of(asked), tool_results(asked)
    if "final_result_Plan" in tools:
        steps = [
            {"name": "Count words", "instruction": "Count the words of notes.txt."},
            {"name": "Write them", "instruction": "Write the number to words.txt."},
        ]
        return tool_call("final_result_Plan", {"steps": steps})
    if "final_result_Answer" in tools:
        return tool_call("final_result_Answer", {"answer": f"Done: {asked['messages'][-1]['content']}"})
    if '"instruction": "Write the number' in asked["messages"][1]["content"]:
        if not results:
            return tool_call("write_file", {"name": "words.txt", "text": "the number\n"})
        return tool_call("final_result_StepDone", {"result": "written", "files": ["words.txt"]})
    if not results:
        return tool_call("measure_files", {"paths": ["notes.txt"], "measure": "words"})
    return tool_call("final_result_StepDone", {"result": f"{results[0]['total']} words"})


def in_turn(*replies: Reply) -> Callable[[Asked], Reply]:
    """A script that gives the replies one after the other, whatever is asked."""
    left = iter(replies)
    return lambda _: next(left)
