"""The agent job from request to result: plan, steps, answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock.core.errors import InvalidJobError
from penstock.core.settings import ServiceSettings
from penstock.executors.agent.phases import AgentRun, do_step, give_answer, make_plan
from penstock.executors.agent.plan import PlannedStep, StepResult
from penstock.executors.agent.request import AgentRequest, read_request
from penstock.executors.agent.toolbox import Toolbox
from penstock.executors.agent.workspace import Workspace, WorkspaceError
from penstock.executors.llm import model_by_name
from penstock.worker.context import JobContext

PLANNED_PERCENT: Final = 5
MOST_PERCENT: Final = 95
LONGEST_SUMMARY: Final = 300


async def perform(ctx: JobContext, settings: ServiceSettings) -> dict[str, Any]:
    """Run one agent job to its result; see ``agent_handler``."""
    request = read_request(ctx.payload)
    name = request.model or settings.model
    async with model_by_name(name, settings) as model:
        run = AgentRun(
            ctx, model, request.goal, request.steps_allowed(settings), _toolbox(ctx, request, settings)
        )
        await ctx.progress(0, "plan")

        async def planned() -> dict[str, Any]:
            return await make_plan(run)

        plan: dict[str, Any] = await ctx.step(
            "plan", planned, inputs={"goal": request.goal, "model": name, "max_steps": run.max_steps}
        )
        steps = [PlannedStep.model_validate(step) for step in plan["steps"]]
        if request.dry_run:
            return _draft(name, steps, plan["usage"])
        outcomes = await _do_all(run, steps)
        return await _finish(run, name, steps, plan, outcomes)


async def _do_all(run: AgentRun, steps: Sequence[PlannedStep]) -> list[dict[str, Any]]:
    outcomes: list[dict[str, Any]] = []
    done: list[StepResult] = []
    for number, step in enumerate(steps, 1):
        name = step_name(number, step)
        share = (number - 1) / len(steps)
        await run.ctx.progress(PLANNED_PERCENT + share * (MOST_PERCENT - PLANNED_PERCENT), name)
        outcome = await _do_one(run, name, step, done)
        outcomes.append(outcome)
        done.append(StepResult(name=name, result=outcome["result"], files=outcome["files"]))
    return outcomes


async def _do_one(run: AgentRun, name: str, step: PlannedStep, done: Sequence[StepResult]) -> dict[str, Any]:
    async def work() -> dict[str, Any]:
        return await do_step(run, name, step, done)

    return await run.ctx.step(
        name, work, inputs={"instruction": step.instruction, "after": [one.name for one in done]}
    )


async def _finish(
    run: AgentRun,
    name: str,
    steps: Sequence[PlannedStep],
    plan: Mapping[str, Any],
    outcomes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    names = [step_name(number, step) for number, step in enumerate(steps, 1)]
    done = [
        StepResult(name=step, result=outcome["result"], files=outcome["files"])
        for step, outcome in zip(names, outcomes, strict=True)
    ]
    await run.ctx.progress(MOST_PERCENT, "answer")
    answer = await _answer(run, done)
    artifacts = {artifact["name"]: artifact for outcome in outcomes for artifact in outcome["artifacts"]}
    return {
        "answer": answer["answer"],
        "steps": [
            {"name": step, "tool": outcome["tool"], "summary": outcome["result"][:LONGEST_SUMMARY]}
            for step, outcome in zip(names, outcomes, strict=True)
        ],
        "artifacts": list(artifacts.values()),
        "model": name,
        "usage": _total([plan["usage"], *(outcome["usage"] for outcome in outcomes), answer["usage"]]),
    }


async def _answer(run: AgentRun, done: Sequence[StepResult]) -> dict[str, Any]:
    if len(done) == 1:
        return {"answer": done[0].result, "usage": {}}

    async def answered() -> dict[str, Any]:
        return await give_answer(run, done)

    return await run.ctx.step("answer", answered, inputs={"steps": [one.name for one in done]})


def _draft(name: str, steps: Sequence[PlannedStep], usage: Mapping[str, int]) -> dict[str, Any]:
    lines = [f"{number}. {step.instruction}" for number, step in enumerate(steps, 1)]
    return {
        "answer": "\n".join(["Dry run: nothing was done. The plan is:", *lines]),
        "steps": [
            {"name": step_name(number, step), "tool": "", "summary": step.instruction[:LONGEST_SUMMARY]}
            for number, step in enumerate(steps, 1)
        ],
        "artifacts": [],
        "model": name,
        "usage": _total([usage]),
    }


def step_name(number: int, step: PlannedStep) -> str:
    """What a step is called in history and progress: its place and its name, printable."""
    plain = "".join(letter if letter.isprintable() else " " for letter in step.name)
    return f"{number}. {' '.join(plain.split())}"


def _toolbox(ctx: JobContext, request: AgentRequest, settings: ServiceSettings) -> Toolbox:
    try:
        return Toolbox(Workspace(settings.workspace, ctx.id, request.folder))
    except WorkspaceError as error:
        raise InvalidJobError(str(error)) from error


def _total(usages: Sequence[Mapping[str, int]]) -> dict[str, int]:
    counted = ("requests", "input_tokens", "output_tokens")
    return {name: sum(usage.get(name, 0) for usage in usages) for name in counted}
