"""The three things models are asked for: the plan, each step, the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelRetry, UnexpectedModelBehavior, UsageLimitExceeded
from pydantic_ai.models import Model
from pydantic_ai.usage import RunUsage, UsageLimits

from penstock.core.errors import GoalFailedError
from penstock.executors.agent.plan import (
    ANSWERING,
    PLANNING,
    WORKING,
    Answer,
    Plan,
    PlannedStep,
    Refusal,
    StepDone,
    StepResult,
    answer_prompt,
    plan_prompt,
    step_prompt,
)
from penstock.executors.agent.toolbox import Toolbox
from penstock.executors.agent.tools import ToolLog, durable_tools
from penstock.executors.durable import durable
from penstock.worker.context import JobContext

REQUESTS_PER_PHASE: Final = 30
CORRECTIONS: Final = 2

Output = TypeVar("Output", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AgentRun:
    """What the phases of one run share."""

    ctx: JobContext
    model: Model
    goal: str
    max_steps: int
    toolbox: Toolbox


async def make_plan(run: AgentRun) -> dict[str, Any]:
    """Plan the goal: ``{"steps": [...], "model", "usage"}``. Raises ``GoalFailedError``."""
    agent: Agent[object, Plan | Refusal] = Agent(
        durable(run.model, run.ctx, name="plan: model"),
        output_type=[Plan, Refusal],
        instructions=PLANNING,
        retries=CORRECTIONS,
    )

    @agent.output_validator
    def short_enough(output: Plan | Refusal) -> Plan | Refusal:
        if isinstance(output, Plan) and len(output.steps) > run.max_steps:
            raise ModelRetry(f"the plan has {len(output.steps)} steps, but max_steps allows {run.max_steps}")
        return output

    plan, usage = await _ask(agent, plan_prompt(run.goal, run.max_steps), Plan)
    return {**plan.model_dump(), "model": run.model.model_name, "usage": usage}


async def do_step(run: AgentRun, name: str, step: PlannedStep, done: Sequence[StepResult]) -> dict[str, Any]:
    """Do one step: ``{"result", "files", "tool", "artifacts", "usage"}``. Raises ``GoalFailedError``."""
    log = ToolLog()
    agent: Agent[object, StepDone | Refusal] = Agent(
        durable(run.model, run.ctx, name=f"{name}: model"),
        output_type=[StepDone, Refusal],
        instructions=WORKING,
        tools=durable_tools(run.toolbox, run.ctx, name, log),
        retries=CORRECTIONS,
    )
    outcome, usage = await _ask(agent, step_prompt(run.goal, step, done), StepDone)
    return {
        **outcome.model_dump(),
        "tool": ", ".join(dict.fromkeys(log.called)),
        "artifacts": list(log.written.values()),
        "usage": usage,
    }


async def give_answer(run: AgentRun, done: Sequence[StepResult]) -> dict[str, Any]:
    """Answer the goal from all results: ``{"answer", "usage"}``. Raises ``GoalFailedError``."""
    outputs: list[type[Answer | Refusal]] = [Answer, Refusal]
    agent: Agent[object, Answer | Refusal] = Agent(
        durable(run.model, run.ctx, name="answer: model"),
        output_type=outputs,
        instructions=ANSWERING,
        retries=CORRECTIONS,
    )
    answer, usage = await _ask(agent, answer_prompt(run.goal, done), Answer)
    return {**answer.model_dump(), "usage": usage}


async def _ask(
    agent: Agent[object, Output | Refusal], prompt: str, wanted: type[Output]
) -> tuple[Output, dict[str, int]]:
    try:
        result = await agent.run(prompt, usage_limits=UsageLimits(request_limit=REQUESTS_PER_PHASE))
    except UsageLimitExceeded as error:
        raise GoalFailedError(f"the model did not come to an end: {error}") from error
    except UnexpectedModelBehavior as error:
        # Its answers are stored: another attempt would meet the same ones.
        raise GoalFailedError(f"the model's answer cannot be used: {_reason(error)}") from error
    if isinstance(result.output, wanted):
        return result.output, _plain(result.usage)
    raise GoalFailedError(result.output.reason if isinstance(result.output, Refusal) else "no answer")


def _reason(error: UnexpectedModelBehavior) -> str:
    cause = error.__cause__
    if isinstance(cause, ModelRetry):
        return f"{error.message}: {cause.message}"
    return error.message if cause is None else f"{error.message}: {json.dumps(str(cause))[:500]}"


def _plain(usage: RunUsage) -> dict[str, int]:
    return {
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }
