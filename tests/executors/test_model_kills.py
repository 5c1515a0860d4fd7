"""A worker that is killed, inside model calls and between steps: what the provider is asked again."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from penstock import Job, RedisStreamsQueue
from penstock.executors.agent import AGENT_TYPE
from tests.conftest import MakeQueue
from tests.executors.support import SCRIPTED, counting_agent, work
from tests.harness.faultproxy import FaultProxy
from tests.harness.openai_server import Asked, OpenAIServer
from tests.harness.processes import ManagedProcess, ProcessStarter
from tests.harness.rules import Command
from tests.worker.fleet import FAST
from tests.worker.support import calls, completed, until

MODEL_CALLS = 6
#: Plan, two steps and answer, each with its model requests and tool calls.
STORED_STEPS = 12
MANY_ATTEMPTS = 40


def which(asked: Asked) -> str:
    """One key for each different request, without what chance puts into it."""
    return json.dumps([asked["messages"], sorted(str(tool) for tool in asked["tools"])], sort_keys=True)


@dataclass
class Relay:
    """Worker processes of one run: whoever has the job can be killed, another stands ready."""

    processes: ProcessStarter
    queue: RedisStreamsQueue
    environment: dict[str, str]
    alive: dict[str, ManagedProcess] = field(default_factory=dict)
    started: int = 0

    async def start(self) -> None:
        self.started += 1
        name = f"w{self.started}"
        given = {
            "handlers": "tests.executors.jobs:handlers",
            "worker_id": name,
            "queue": "runs",
            "timings": [FAST.beat_seconds, FAST.presumed_dead_seconds, FAST.stall_seconds],
            "url": self.environment["PENSTOCK_REDIS_URL"],
        }
        process = await self.processes.python(
            "-m", "tests.worker.fleet", json.dumps(given), environment=self.environment
        )
        self.alive[name] = process

    async def ready(self) -> None:
        for process in self.alive.values():
            await process.line("running on", timeout_seconds=40)

    def kill_everyone(self) -> None:
        while self.alive:
            self.alive.popitem()[1].kill()

    async def kill_the_holder(self, job_id: str) -> None:
        async def holder() -> str | None:
            job = await self.queue.get_status(job_id)
            return job.worker_id if job is not None and job.worker_id in self.alive else None

        name = await until(holder)
        self.alive.pop(name).kill()
        await self.start()


@pytest.fixture
async def relay(
    processes: ProcessStarter,
    make_queue: MakeQueue,
    workspace: Path,
    provider: OpenAIServer,
    proxy: FaultProxy,
) -> Relay:
    (workspace / "notes.txt").write_text("one two three\n")
    provider.script = counting_agent
    environment = {
        "PENSTOCK_WORKSPACE": str(workspace),
        "PENSTOCK_MODEL": SCRIPTED,
        "PENSTOCK_MODEL_BASE_URL": provider.url,
        "PENSTOCK_REDIS_URL": proxy.url,
    }
    return Relay(processes, await make_queue("runs", timings=FAST), environment)


async def run_with(relay: Relay, kills: Callable[[str], Awaitable[None]]) -> Job:
    for _ in range(2):
        await relay.start()
    await relay.ready()
    job = Job(payload={"goal": "How many words?"}, type=AGENT_TYPE, max_attempts=MANY_ATTEMPTS)
    job_id = await relay.queue.enqueue(job)
    await kills(job_id)
    return (await completed(relay.queue, [job_id], timeout_seconds=60))[job_id]


def check_the_result(job: Job, workspace: Path) -> None:
    result: dict[str, Any] = job.result
    assert [step["tool"] for step in result["steps"]] == ["measure_files", "write_file"]
    assert result["steps"][0]["summary"] == "3 words"
    assert [artifact["text"] for artifact in result["artifacts"]] == ["the number\n"]
    assert result["usage"] == {"requests": MODEL_CALLS, "input_tokens": 66, "output_tokens": 42}
    (written,) = (workspace / ".penstock" / "artifacts").rglob("words.txt")
    assert written.read_text() == "the number\n"


@pytest.mark.timeout(180)
async def test_killed_inside_every_model_call(relay: Relay, provider: OpenAIServer, workspace: Path) -> None:
    async def kills(job_id: str) -> None:
        for number in range(MODEL_CALLS):
            provider.hold()
            # Each call before this one was asked twice: in flight at the kill, and after it.
            await provider.asked(2 * number + 1)
            await relay.kill_the_holder(job_id)
            await relay.ready()
            provider.release()
            await provider.asked(2 * number + 2)

    job = await run_with(relay, kills)
    check_the_result(job, workspace)
    asked = Counter(map(which, provider.requests))
    assert sorted(asked.values()) == [2] * MODEL_CALLS
    assert job.crashes >= MODEL_CALLS


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_at_every_step_boundary(
    relay: Relay, provider: OpenAIServer, workspace: Path, proxy: FaultProxy
) -> None:
    async def kills(job_id: str) -> None:
        # Each step is stored, and its worker never hears of it.
        rule = proxy.swallow(calls("step"), times=None)
        for number in range(STORED_STEPS):
            await rule.hit(number + 1, timeout_seconds=60)
            await relay.kill_the_holder(job_id)

    job = await run_with(relay, kills)
    check_the_result(job, workspace)
    asked = Counter(map(which, provider.requests))
    assert sorted(asked.values()) == [1] * MODEL_CALLS
    assert job.crashes >= STORED_STEPS


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_before_every_step_is_stored(
    relay: Relay, provider: OpenAIServer, workspace: Path, proxy: FaultProxy
) -> None:
    # The server is to know the script already: else the first step would be sent twice.
    await relay.queue.enqueue(Job(type="warm-up"))
    await work(relay.queue, {"warm-up": lambda ctx: ctx.wait(ctx.step("only", lambda: 1))})
    is_step = calls("step")
    seen = 0

    def every_other(command: Command) -> bool:
        nonlocal seen
        seen += is_step(command)
        is_cut = is_step(command) and seen % 2 == 1
        if is_cut:
            # At once: its worker must not connect again and store the step after all.
            relay.kill_everyone()
        return is_cut

    async def kills(_: str) -> None:
        # The answer has come, the store never hears of it; the next worker's step goes through.
        rule = proxy.cut_before(every_other, times=None)
        for number in range(STORED_STEPS):
            await rule.hit(number + 1, timeout_seconds=60)
            await relay.start()

    job = await run_with(relay, kills)
    check_the_result(job, workspace)
    asked = Counter(map(which, provider.requests))
    assert sorted(asked.values()) == [2] * MODEL_CALLS
    assert job.crashes >= STORED_STEPS
