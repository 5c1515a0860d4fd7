"""What a provider's failures do to the job, over HTTP."""

import asyncio
import time

import pytest
from pydantic_ai import Agent

from penstock import Job, JobContext, JobStatus, is_retryable_error
from penstock.core.errors import ConfigurationError, ModelRefusedError, ModelUnavailableError
from penstock.core.settings import ServiceSettings
from penstock.executors.llm import durable, model_by_name
from tests.conftest import MakeQueue
from tests.executors.support import SCRIPTED, finished, in_turn, work
from tests.harness.openai_server import OpenAIServer, Reply, problem, text


class Asking:
    """A handler that asks the scripted provider one question."""

    def __init__(self, url: str) -> None:
        self.settings = ServiceSettings(model_base_url=url)

    async def __call__(self, ctx: JobContext) -> str:
        async with model_by_name(SCRIPTED, self.settings) as model:
            return (await Agent(durable(model, ctx)).run("hello")).output


async def attempt_once(make_queue: MakeQueue, provider: OpenAIServer) -> Job:
    queue = await make_queue()
    job_id = await queue.enqueue(Job(max_attempts=2))
    await work(queue, Asking(provider.url))
    return await finished(queue, job_id)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_what_may_pass_is_tried_again(
    make_queue: MakeQueue, provider: OpenAIServer, status: int
) -> None:
    # The word "invalid" would count as final in an error of unknown kind.
    provider.script = in_turn(problem(status, "invalid moment, try later"), text("fine"))
    job = await attempt_once(make_queue, provider)
    assert job.status is JobStatus.RETRYING
    assert f"ModelUnavailableError: model openai:scripted: HTTP {status}" in str(job.error)
    assert len(provider.requests) == 1, "the client must leave repeating to the job"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_final(make_queue: MakeQueue, provider: OpenAIServer, status: int) -> None:
    provider.script = in_turn(problem(status, "no such key"))
    job = await attempt_once(make_queue, provider)
    assert job.status is JobStatus.FAILED
    assert f"ModelRefusedError: model openai:scripted: HTTP {status}" in str(job.error)
    assert len(provider.requests) == 1


async def test_retry_after_is_honoured(make_queue: MakeQueue, provider: OpenAIServer) -> None:
    provider.script = in_turn(problem(429, "slow down", retry_after="1"), text("fine"))
    queue = await make_queue()
    job_id = await queue.enqueue(Job(max_attempts=2))
    before = time.monotonic()
    await work(queue, Asking(provider.url))
    while (await finished(queue, job_id)).status is not JobStatus.COMPLETED:
        assert time.monotonic() - before < 20
        await asyncio.sleep(0.1)
        await work(queue, Asking(provider.url))
    assert time.monotonic() - before >= 1, "the policy alone would have waited 0.05 s"
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>gateway</html>"),
        Reply(b'{"choices": "none"}'),
        Reply(b"", headers={"content-type": "text/plain"}),
        Reply(b'{"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'),
    ],
)
async def test_an_answer_that_cannot_be_read_is_tried_again(
    make_queue: MakeQueue, provider: OpenAIServer, reply: Reply
) -> None:
    provider.script = in_turn(reply)
    job = await attempt_once(make_queue, provider)
    assert job.status is JobStatus.RETRYING, job.error
    assert "ModelUnavailableError" in str(job.error)


async def test_a_provider_that_is_not_there_is_tried_again(make_queue: MakeQueue) -> None:
    async with OpenAIServer(lambda _: text("gone")) as server:
        url = server.url
    queue = await make_queue()
    job_id = await queue.enqueue(Job(max_attempts=2))
    await work(queue, Asking(url))
    job = await finished(queue, job_id)
    assert job.status is JobStatus.RETRYING
    assert "ModelUnavailableError" in str(job.error)


def test_the_errors_say_themselves_whether_to_try_again() -> None:
    assert is_retryable_error(ModelUnavailableError("invalid"))
    assert not is_retryable_error(ModelRefusedError("timeout"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpt-5", "model 'gpt-5' is not known: expected 'offline', 'openai:<model>'"),
        ("", "is not known"),
        ("openai:", "names no model"),
        ("openai:gpt-5", "set OPENAI_API_KEY"),
        ("anthropic:claude-opus-5", "set ANTHROPIC_API_KEY"),
        ("offlin", "is not known"),
    ],
)
def test_a_name_that_means_nothing_is_explained(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigurationError) as caught:
        model_by_name(name, ServiceSettings())
    assert said in str(caught.value)


def test_models_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-a-test")
    plain, local = ServiceSettings(), ServiceSettings(model_base_url="http://localhost:1/v1")
    assert model_by_name("openai:gpt-5", plain).model_id == "openai:gpt-5"
    assert model_by_name("anthropic:claude-opus-5", plain).model_id == "anthropic:claude-opus-5"
    assert model_by_name("offline", plain).model_id == "offline:offline"
    assert model_by_name("llama3.2:3b", local).model_name == "llama3.2:3b"
    assert model_by_name("openai:x", local).base_url == "http://localhost:1/v1/"
