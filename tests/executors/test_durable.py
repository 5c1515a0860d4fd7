"""`durable`: any pydantic-ai agent inside a job resumes, and asks its provider nothing twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from penstock import Job, JobContext, JobStatus, RedisStreamsQueue
from penstock.executors.llm import durable
from tests.conftest import MakeQueue
from tests.executors.support import finished, work


class Interrupted(Exception):
    """What a test's handler raises to be run again."""


class CountingModel:
    """A model that uses a tool once and then answers; it counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.model = FunctionModel(self._reply, model_name="counting")

    def _reply(self, messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        self.asked += 1
        usage = RequestUsage(input_tokens=10, output_tokens=3)
        if len(messages) == 1:
            # Without an id of its own, so that pydantic-ai makes up a new one each time.
            return ModelResponse([ToolCallPart("double", {"number": 21})], usage=usage)
        return ModelResponse([TextPart("it is 42")], usage=usage)


def doubling(model: Model) -> Agent[object, str]:
    agent: Agent[object, str] = Agent(model, instructions="use the tool")

    @agent.tool_plain
    def double(number: int) -> int:
        return number * 2

    return agent


async def run(
    queue: RedisStreamsQueue, handler: Callable[[JobContext], Awaitable[Any]], attempts: int = 3
) -> Job:
    job_id = await queue.enqueue(Job(max_attempts=attempts))
    for _ in range(attempts):
        await work(queue, handler)
        job = await finished(queue, job_id)
        if job.status.is_final:
            break
        # A retry waits in Redis for a moment before it is ready again.
        await asyncio.sleep(0.3)
    return await finished(queue, job_id)


async def test_finished_requests_are_answered_from_the_store(make_queue: MakeQueue) -> None:
    counting = CountingModel()

    async def handler(ctx: JobContext) -> dict[str, Any]:
        result = await doubling(durable(counting.model, ctx)).run("what is twice 21?")
        if ctx.attempt == 1:
            raise Interrupted
        usage = result.usage
        return {"output": result.output, "requests": usage.requests, "tokens": usage.input_tokens}

    job = await run(await make_queue(), handler)
    assert job.result == {"output": "it is 42", "requests": 2, "tokens": 20}
    assert (job.attempts, counting.asked) == (2, 2)


async def test_a_failed_request_is_asked_again_and_the_ones_before_it_are_not(make_queue: MakeQueue) -> None:
    counting = CountingModel()
    inner = counting.model.function
    assert inner is not None

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) > 1 and counting.asked == 1:
            counting.asked += 1
            raise ConnectionResetError("the line went dead")
        response = inner(messages, info)
        assert isinstance(response, ModelResponse)
        return response

    async def handler(ctx: JobContext) -> str:
        return (await doubling(durable(FunctionModel(reply), ctx)).run("go")).output

    job = await run(await make_queue(), handler)
    assert (job.result, counting.asked) == ("it is 42", 3)


async def test_a_changed_conversation_is_refused(make_queue: MakeQueue) -> None:
    counting = CountingModel()

    async def handler(ctx: JobContext) -> str:
        result = await doubling(durable(counting.model, ctx)).run(f"attempt {ctx.attempt}")
        if ctx.attempt == 1:
            raise Interrupted
        return result.output

    job = await run(await make_queue(), handler)
    assert job.status is JobStatus.FAILED
    assert "StepMismatchError: step 'model-1'" in str(job.error)
    assert counting.asked == 2


def more() -> str:
    return "one more tool"


@pytest.mark.parametrize("change", ["settings", "model", "tools"])
async def test_a_changed_request_is_refused(make_queue: MakeQueue, change: str) -> None:
    counting = CountingModel()
    other = FunctionModel(counting._reply, model_name="another")

    async def handler(ctx: JobContext) -> str:
        is_changed = ctx.attempt == 2
        model = other if is_changed and change == "model" else counting.model
        agent = doubling(durable(model, ctx))
        if is_changed and change == "tools":
            agent.tool_plain(more)
        settings = ModelSettings(temperature=0.9 if is_changed and change == "settings" else 0.1)
        result = await agent.run("go", model_settings=settings)
        if ctx.attempt == 1:
            raise Interrupted
        return result.output

    job = await run(await make_queue(), handler)
    assert "StepMismatchError" in str(job.error)


async def test_structured_output_and_its_corrections_are_durable(make_queue: MakeQueue) -> None:
    class Verdict(BaseModel):
        number: int

    asked = []

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(len(messages))
        number: Any = "no number" if len(messages) == 1 else 7
        return ModelResponse([ToolCallPart(info.output_tools[0].name, {"number": number})])

    async def handler(ctx: JobContext) -> int:
        agent = Agent(durable(FunctionModel(reply), ctx), output_type=Verdict)
        result = await agent.run("judge")
        if ctx.attempt == 1:
            raise Interrupted
        return result.output.number

    job = await run(await make_queue(), handler)
    assert (job.result, asked) == (7, [1, 3])


async def test_streamed_requests_are_stored_when_complete(make_queue: MakeQueue) -> None:
    streams = 0

    async def stream(messages: list[ModelMessage], _info: AgentInfo) -> Any:
        nonlocal streams
        streams += 1
        if len(messages) == 1:
            yield {0: DeltaToolCall("double", '{"number": 21}')}
            return
        yield "it is "
        yield "42"

    async def handler(ctx: JobContext) -> list[str]:
        agent = doubling(durable(FunctionModel(stream_function=stream), ctx))
        async with agent.run_stream("go") as result:
            pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
        if ctx.attempt == 1:
            raise Interrupted
        return pieces

    job = await run(await make_queue(), handler)
    assert ("".join(job.result), streams) == ("it is 42", 2)


async def test_two_agents_of_one_job_take_names_of_their_own(make_queue: MakeQueue) -> None:
    counting = CountingModel()

    async def handler(ctx: JobContext) -> list[str]:
        agents = [doubling(durable(counting.model, ctx, name=name)) for name in ("first", "second")]
        results = await asyncio.gather(*(agent.run("go") for agent in agents))
        if ctx.attempt == 1:
            raise Interrupted
        return [result.output for result in results]

    job = await run(await make_queue(), handler)
    assert (job.result, counting.asked) == (["it is 42", "it is 42"], 4)


async def test_the_same_name_twice_is_refused(make_queue: MakeQueue) -> None:
    counting = CountingModel()

    async def handler(ctx: JobContext) -> None:
        for _ in range(2):
            await doubling(durable(counting.model, ctx)).run("go")

    job = await run(await make_queue(), handler)
    assert "StepRepeatedError: step 'model-1'" in str(job.error)


async def test_a_fallback_may_stand_behind_it(make_queue: MakeQueue) -> None:
    counting = CountingModel()

    async def handler(ctx: JobContext) -> str:
        model = FallbackModel(counting.model, counting.model)
        return (await doubling(durable(model, ctx)).run("go")).output

    job = await run(await make_queue(), handler)
    assert job.result == "it is 42"
