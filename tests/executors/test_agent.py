"""The agent executor: the shape of its results, its limits, its failures, and real providers' ways."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from penstock import Job, JobContext, JobStatus
from penstock.executors.agent import AGENT_TYPE, agent_handler
from tests.conftest import MakeQueue
from tests.executors.support import SCRIPTED, Agents, counting_agent, finished, work
from tests.harness.openai_server import (
    Asked,
    OpenAIServer,
    Reply,
    Script,
    text,
    tool_call,
    tool_calls,
    tool_results,
    tools_of,
)

PLAN = {"steps": [{"name": "Look", "instruction": "Look at notes.txt."}]}


@pytest.fixture
async def scripted(make_queue: MakeQueue, workspace: Path, provider: OpenAIServer) -> Agents:
    """Runs goals with the scripted provider."""
    (workspace / "notes.txt").write_text("one two three\n")
    return Agents(await make_queue("runs"), workspace, model=SCRIPTED, model_base_url=provider.url)


def planned(*replies: Reply) -> Script:
    """A script that plans, and in the step gives one reply after the other."""

    def script(asked: Asked) -> Reply:
        if "final_result_Plan" in tools_of(asked):
            return tool_call("final_result_Plan", PLAN)
        turn = sum(message["role"] == "assistant" for message in asked["messages"])
        reply: Reply = replies[min(turn, len(replies) - 1)]
        return reply

    return script


async def test_the_result_has_the_promised_shape(agents: Agents, workspace: Path) -> None:
    (workspace / "notes.txt").write_text("one two three\n")
    job = await agents.run("Count the words in notes.txt and write it to out/words.md")
    text = "notes.txt: 3 words\n"
    assert job.result == {
        "answer": "notes.txt: 3 words\n\nWrote 19 bytes to out/words.md.",
        "steps": [
            {
                "name": "1. count the words in notes.txt",
                "tool": "list_files, measure_files",
                "summary": "notes.txt: 3 words",
            },
            {
                "name": "2. write out/words.md",
                "tool": "write_file",
                "summary": "Wrote 19 bytes to out/words.md.",
            },
        ],
        "artifacts": [
            {"name": "out/words.md", "media_type": "text/markdown", "size_bytes": 19, "text": text}
        ],
        "model": "offline",
        "usage": {"requests": 7, "input_tokens": 0, "output_tokens": 0},
    }
    assert (workspace / ".penstock" / "artifacts" / job.id / "out" / "words.md").read_text() == text


async def test_a_dry_run_only_plans(agents: Agents, workspace: Path) -> None:
    (workspace / "notes.txt").write_text("one two three\n")
    job = await agents.run("Count the words in notes.txt and write it to out.txt", dry_run=True)
    assert job.result is not None
    assert job.result["answer"].splitlines()[1:] == [
        "1. count the words in notes.txt",
        "2. write it to out.txt",
    ]
    assert [step["tool"] for step in job.result["steps"]] == ["", ""]
    assert (job.result["artifacts"], job.result["usage"]["requests"]) == ([], 1)
    assert os.listdir(workspace) == ["notes.txt"]  # noqa: PTH208 - a look at a few names blocks nobody


async def test_max_steps_bounds_the_plan(agents: Agents, workspace: Path) -> None:
    (workspace / "notes.txt").write_text("one two three\n")
    job = await agents.run("Count the words in notes.txt and write it to out.txt", max_steps=1)
    assert job.status is JobStatus.FAILED
    assert "the goal takes 2 steps, max_steps allows 1" in str(job.error)


async def test_a_provider_is_asked_to_keep_within_max_steps(scripted: Agents, provider: OpenAIServer) -> None:
    two = {"steps": PLAN["steps"] * 2}

    def script(asked: Asked) -> Reply:
        if "final_result_Plan" in tools_of(asked):
            return tool_call("final_result_Plan", two if len(provider.requests) == 1 else PLAN)
        return tool_call("final_result_StepDone", {"result": "looked"})

    provider.script = script
    assert await scripted.answer("Look.", max_steps=1) == "looked"
    assert "max_steps allows 1" in provider.requests[1]["messages"][-1]["content"]


async def test_a_folder_of_the_context_bounds_the_run(agents: Agents, workspace: Path) -> None:
    (workspace / "docs").mkdir()
    (workspace / "docs" / "in.md").write_text("inside\n")
    (workspace / "out.md").write_text("outside\n")
    answer = await agents.answer("List the markdown files", context={"folder": "docs"})
    assert answer == "1 file:\nin.md"


WRONG_PAYLOADS: list[tuple[Any, str]] = [
    ({}, "goal: Field required"),
    ({"goal": "  "}, "the goal is empty"),
    ({"goal": 7}, "goal: Input should be a valid string"),
    ({"goal": "x" * 4001}, "at most 4000 characters"),
    ({"goal": "Count", "max_steps": 0}, "max_steps: Input should be greater than or equal to 1"),
    ({"goal": "Count", "dry_run": "yes"}, "dry_run: Input should be a valid boolean"),
    ({"goal": "List the files", "context": {"folder": "../.."}}, "'..' is not allowed"),
    ({"goal": "List the files", "context": {"folder": 3}}, "context.folder is 3"),
    ({"goal": "List the files", "model": "gpt-9"}, "ConfigurationError: model 'gpt-9' is not known"),
    ("count", "payload: Input should be"),
]


async def test_wrong_payloads_are_explained_and_not_tried_again(agents: Agents) -> None:
    ids = await agents.queue.enqueue_many([Job(payload=one, type=AGENT_TYPE) for one, _ in WRONG_PAYLOADS])
    await work(agents.queue, {AGENT_TYPE: agent_handler(agents.settings)})
    for job_id, (_, said) in zip(ids, WRONG_PAYLOADS, strict=True):
        job = await finished(agents.queue, job_id)
        assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
        assert said in str(job.error)


async def test_a_refusal_says_what_the_offline_model_can_do(agents: Agents) -> None:
    job = await agents.run("Book a table for two")
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert "GoalFailedError: the offline model cannot plan this: 'book a table for two'" in str(job.error)
    assert "What it can do: list or count files" in str(job.error)


OUT_OF_REACH = {
    "Summarise missing.txt": "there is no file 'missing.txt'",
    "Summarise same.txt": "could be any of a/same.txt, b/same.txt",
    "Count the words in image.png": "is a binary file",
    "Show line 9 of short.txt": "short.txt has 1 lines",
    "Show the section 'Nowhere' of short.txt": "no heading like",
    "Write 'mine' to '../../escape.txt'": "'..' is not allowed",
    "Summarise '/etc/passwd'": "there is no file '/etc/passwd'",
}


async def test_what_cannot_be_done_is_explained(agents: Agents, workspace: Path) -> None:
    for name in ("a/same.txt", "b/same.txt", "short.txt"):
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text("one line\n")
    (workspace / "image.png").write_bytes(b"\x00\x01")
    jobs = await agents.run_all(list(OUT_OF_REACH))
    for said, job in zip(OUT_OF_REACH.values(), jobs, strict=True):
        assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
        assert "the offline model cannot do this" in str(job.error)
        assert said in str(job.error)


async def test_progress_is_at_most_95_and_names_the_steps(agents: Agents, workspace: Path) -> None:
    (workspace / "notes.txt").write_text("one two three\n")
    seen: list[tuple[float, str | None]] = []
    handler = agent_handler(agents.settings)

    async def watched(ctx: JobContext) -> Any:
        told = ctx._reporter.progress

        async def progress(job_id: str, lease: str, percent: float, step: str) -> str:
            seen.append((percent, step))
            return await told(job_id, lease, percent, step)

        ctx._reporter.progress = progress  # type: ignore[method-assign]
        return await handler(ctx)

    goal = "Count the words in notes.txt and write it to out.txt"
    await agents.queue.enqueue(Job(payload={"goal": goal}, type=AGENT_TYPE))
    await work(agents.queue, {AGENT_TYPE: watched})
    assert seen == [
        (0, "plan"),
        (5.0, "1. count the words in notes.txt"),
        (50.0, "2. write out.txt"),
        (95, "answer"),
    ]


async def test_a_provider_works_through_the_same_tools(
    scripted: Agents, provider: OpenAIServer, workspace: Path
) -> None:
    provider.script = counting_agent
    job = await scripted.run("How many words?")
    assert job.result is not None
    assert job.result["model"] == SCRIPTED
    assert job.result["steps"][0] == {"name": "1. Count words", "tool": "measure_files", "summary": "3 words"}
    assert '"result": "3 words"' in job.result["answer"]
    assert job.result["usage"] == {"requests": 6, "input_tokens": 66, "output_tokens": 42}
    assert job.result["artifacts"][0]["text"] == "the number\n"


async def test_several_tools_at_once_are_called_in_their_order(
    scripted: Agents, provider: OpenAIServer
) -> None:
    measures = ("words", "lines", "bytes")
    wanted = [
        ("measure_files", {"paths": ["notes.txt"], "measure": name}, f"call_{name}") for name in measures
    ]
    done = tool_call("final_result_StepDone", {"result": "measured"})
    provider.script = planned(tool_calls(*wanted), done)
    assert await scripted.answer("Measure.") == "measured"
    assert [one["total"] for one in tool_results(provider.requests[-1])] == [3, 1, 14]


async def test_a_tool_that_fails_tells_the_model(scripted: Agents, provider: OpenAIServer) -> None:
    provider.script = planned(
        tool_call("read_file", {"path": "../secret"}),
        tool_call("read_file", {"path": "notes.txt", "first_line": "one"}),
        tool_call("no_such_tool", {}),
        tool_call("final_result_StepDone", {"result": "gave up"}),
    )
    assert await scripted.answer("Look.") == "gave up"
    told = [message["content"] for message in provider.requests[-1]["messages"] if message["role"] == "tool"]
    assert json.loads(told[0]) == {"error": "'../secret' leads out of the workspace: '..' is not allowed"}
    assert "valid integer" in told[1]
    assert "no_such_tool" in told[2]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (text("I would rather chat."), "the model's answer cannot be used"),
        (tool_call("final_result_StepDone", {"outcome": 7}), "the model's answer cannot be used"),
        (tool_call("final_result_Refusal", {"reason": "the moon is full"}), "the moon is full"),
        (tool_call("list_files", {}), "the model did not come to an end"),
    ],
)
async def test_a_model_that_cannot_fails_the_run_for_good(
    scripted: Agents, provider: OpenAIServer, step: Reply, said: str
) -> None:
    provider.script = planned(step)
    job = await scripted.run("Look.")
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)
    assert f"GoalFailedError: {said}" in str(job.error)


async def test_an_offline_model_outside_the_executor_says_so(make_queue: MakeQueue) -> None:
    from pydantic_ai import Agent

    from penstock.core.errors import ModelRefusedError
    from penstock.executors.offline import OfflineModel

    with pytest.raises(ModelRefusedError, match="only plans and works for the agent executor"):
        await Agent(OfflineModel()).run("hello")
