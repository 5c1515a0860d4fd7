"""The model ``offline``: plans and works by rules, in the place of a language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from penstock.core.errors import ModelRefusedError
from penstock.executors.agent.plan import Answer, Plan, Refusal, StepDone, read_prompt
from penstock.executors.offline.goals import CAN_DO, understand, understand_clause
from penstock.executors.offline.intents import Ask, Intent, NotUnderstood
from penstock.executors.offline.lexing import Clause
from penstock.executors.offline.telling import PERFORMERS, WRITE_STEP
from penstock.executors.offline.working import Call, CannotDo, Earlier, advance

OFFLINE: Final = "offline"
LONGEST_NAME: Final = 100

Turn = tuple[str, dict[str, Any]]


class OfflineModel(Model):
    """A deterministic planner that needs no key and no network; not a language model, and named so.

    It understands a family of English goals about the files of a workspace (``CAN_DO``), plans them,
    calls the agent executor's tools for every fact and number, and refuses what it does not understand.
    It answers the agent executor only; any other prompt raises ``ModelRefusedError``.
    """

    @property
    def model_name(self) -> str:
        """``offline``."""
        return OFFLINE

    @property
    def system(self) -> str:
        """``offline``."""
        return OFFLINE

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The next turn: a tool call, or an output. It uses no tokens."""
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        outputs = {wanted: tool for tool in parameters.output_tools for wanted in [_output_kind(tool)]}
        turn = next((_TURNS[kind] for kind in _TURNS if kind in outputs), None)
        if turn is None:
            raise _not_ours()
        try:
            kind, arguments = turn(_prompt(messages), messages)
        except (NotUnderstood, CannotDo) as problem:
            kind, arguments = Refusal.__name__, {"reason": _reason(problem)}
        name = outputs[kind].name if kind in outputs else kind
        number = sum(isinstance(message, ModelResponse) for message in messages) + 1
        call = ToolCallPart(name, arguments, tool_call_id=f"offline-{number}")
        return ModelResponse([call], model_name=OFFLINE, provider_name=OFFLINE)


def _plan(prompt: Mapping[str, Any], _messages: list[ModelMessage]) -> Turn:
    requests = understand(str(prompt["goal"]))
    if len(requests) > int(prompt["max_steps"]):
        raise CannotDo(f"the goal takes {len(requests)} steps, max_steps allows {prompt['max_steps']}")
    return Plan.__name__, {"steps": [_planned(clause, intent) for clause, intent in requests]}


def _planned(clause: Clause, intent: Intent) -> dict[str, str]:
    name = f"{WRITE_STEP}{intent.target}" if intent.ask is Ask.WRITE else clause.said
    if name.startswith(WRITE_STEP) and intent.ask is not Ask.WRITE:
        name = f"find {name.removeprefix(WRITE_STEP)}"
    return {"name": " ".join(name.split())[:LONGEST_NAME], "instruction": clause.said}


def _step(prompt: Mapping[str, Any], messages: list[ModelMessage]) -> Turn:
    intent = understand_clause(str(prompt["step"]["instruction"]))
    earlier = [Earlier(one["name"], one["result"], tuple(one["files"])) for one in prompt["earlier_results"]]
    work = PERFORMERS[intent.ask](intent, earlier)
    turn = advance(work, _tool_results(messages))
    if isinstance(turn, Call):
        return turn.tool, turn.arguments
    return StepDone.__name__, {"result": turn.result, "files": list(turn.files)}


def _answer(prompt: Mapping[str, Any], _messages: list[ModelMessage]) -> Turn:
    return Answer.__name__, {"answer": "\n\n".join(str(one["result"]) for one in prompt["results"])}


_TURNS: Final[dict[str, Callable[[Mapping[str, Any], list[ModelMessage]], Turn]]] = {
    Plan.__name__: _plan,
    StepDone.__name__: _step,
    Answer.__name__: _answer,
}


def _output_kind(tool: ToolDefinition) -> str:
    return tool.name.rpartition("_")[2]


def _prompt(messages: list[ModelMessage]) -> dict[str, Any]:
    for message in messages:
        for part in message.parts if isinstance(message, ModelRequest) else ():
            if isinstance(part, UserPromptPart) and isinstance(part.content, str):
                try:
                    return read_prompt(part.content)
                except ValueError as error:
                    raise _not_ours() from error
    raise _not_ours()


def _tool_results(messages: list[ModelMessage]) -> list[dict[str, Any]]:
    return [
        dict(part.content)
        for message in messages
        for part in (message.parts if isinstance(message, ModelRequest) else ())
        if isinstance(part, ToolReturnPart) and isinstance(part.content, dict)
    ]


def _reason(problem: Exception) -> str:
    if isinstance(problem, NotUnderstood):
        return f"the offline model cannot plan this: {problem}. What it can do: {CAN_DO}."
    return f"the offline model cannot do this: {problem}"


def _not_ours() -> ModelRefusedError:
    return ModelRefusedError(
        "the offline model only plans and works for the agent executor; for other prompts name a model such "
        "as 'openai:<model>' or 'anthropic:<model>'"
    )
