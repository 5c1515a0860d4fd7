"""What models are asked and what they answer: a plan, the outcome of each step, the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

PLANNING: Final = """\
You plan work on the text files of a workspace folder. Break the goal into the fewest steps that reach
it, each done with these tools: list files; count their lines, words, characters, bytes, sentences or
headings; search them for a term; read lines or sections; summarise; key words; dangling links; write
files. A step sees the results of those before it. If the tools cannot reach the goal, refuse and say why.
"""
WORKING: Final = """\
You do one step of a plan on the text files of a workspace folder, with the tools. Take every fact and
number from the tools or from the earlier results, never from memory. Give the step's full result as text.
If it cannot be done, refuse and say why.
"""
ANSWERING: Final = "You answer the goal from the results of the plan's steps, and from nothing else."


class PlannedStep(BaseModel):
    """One step of a plan."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="A few words that tell people what happens")
    instruction: str = Field(min_length=1, max_length=4000, description="What is to be done, in full")


class Plan(BaseModel):
    """The steps that reach the goal."""

    model_config = ConfigDict(extra="forbid")

    steps: list[PlannedStep] = Field(min_length=1, max_length=500)


class StepDone(BaseModel):
    """A step that was done."""

    model_config = ConfigDict(extra="forbid")

    result: str = Field(min_length=1, description="The full result of the step, as text")
    files: list[str] = Field(
        default_factory=list, description="Paths of the files that the result is about, if any"
    )


class Answer(BaseModel):
    """The answer to the goal."""

    model_config = ConfigDict(extra="forbid")

    answer: str = Field(min_length=1)


class Refusal(BaseModel):
    """Why it cannot be done."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, description="What stands in the way, and what would help")


class StepResult(BaseModel):
    """The result of a finished step, as later steps are shown it."""

    name: str
    result: str
    files: list[str]


def plan_prompt(goal: str, max_steps: int) -> str:
    """What the planner is asked."""
    return _prompt("Plan this goal.", {"goal": goal, "max_steps": max_steps})


def step_prompt(goal: str, step: PlannedStep, done: Sequence[StepResult]) -> str:
    """What the model that does one step is asked."""
    results = [one.model_dump() for one in done]
    return _prompt("Do this step.", {"goal": goal, "step": step.model_dump(), "earlier_results": results})


def answer_prompt(goal: str, done: Sequence[StepResult]) -> str:
    """What the model that answers is asked."""
    return _prompt("Answer this goal.", {"goal": goal, "results": [one.model_dump() for one in done]})


def read_prompt(prompt: str) -> dict[str, Any]:
    """The data of a prompt that one of these functions made; raises ``ValueError`` for any other."""
    data = json.loads(prompt.partition("\n")[2])
    if not isinstance(data, dict):
        raise ValueError("not a prompt of the agent executor")
    return data


def _prompt(request: str, data: dict[str, Any]) -> str:
    return f"{request}\n{json.dumps(data, ensure_ascii=False, indent=1)}"
