"""``durable(model, ctx)``: a pydantic-ai model whose every request is a durable step of a job."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import (
    CompletedStreamedResponse,
    Model,
    ModelRequestContext,
    ModelRequestParameters,
    StreamedResponse,
)
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext

from penstock.core.errors import ModelRefusedError
from penstock.executors.model_errors import translated
from penstock.worker.context import JobContext

_response_adapter: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)
#: Values that differ from one attempt to the next without changing what the model is asked.
_OF_THE_ATTEMPT = frozenset({"timestamp", "run_id", "conversation_id"})
_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=repr)


def durable(model: Model, ctx: JobContext, *, name: str = "model") -> DurableModel:
    """Wrap ``model`` so that a job which runs again asks its provider nothing twice.

    Each request is a step of ``ctx``, named ``<name>-1``, ``<name>-2`` and so on: once answered it is
    answered from the store, on whatever worker, so that any pydantic-ai agent resumes inside a job. A
    crash repeats at most the request in flight. The conversation must be the same each time: a
    request that differs from the one stored under its number raises ``StepMismatchError``. Tools
    that do more than compute belong in ``ctx.step`` too.

    A job that wraps twice, or runs agents side by side, gives each wrapping a ``name`` of its own.
    Provider failures are raised as ``ModelUnavailableError`` (tried again, ``Retry-After`` honoured)
    or ``ModelRefusedError``. A streamed request is stored when it is complete, and its events follow
    from the stored response.
    """
    return DurableModel(model, ctx, name)


class DurableModel(WrapperModel):
    """What ``durable`` returns; a model like any other."""

    def __init__(self, wrapped: Model, ctx: JobContext, name: str) -> None:
        super().__init__(wrapped)
        self._ctx = ctx
        self._name = name
        self._requests = 0

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer from the store, or ask and store."""

        async def ask() -> ModelResponse:
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

        return await self._once(messages, model_settings, model_request_parameters, ask)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The complete response, from the store or read to its end and stored, as a stream."""

        async def ask() -> ModelResponse:
            async with self.wrapped.request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                async for _ in stream:
                    continue
            return stream.get()

        response = await self._once(messages, model_settings, model_request_parameters, ask)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )

    async def compact_messages(
        self, request_context: ModelRequestContext, *, instructions: str | None = None
    ) -> ModelResponse:
        """Refused: the provider would be asked outside the durable steps."""
        raise ModelRefusedError(
            f"model {self.model_id}: compaction by the provider is not durable; compact the history in "
            "a ctx.step of the handler instead"
        )

    async def _once(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        ask: Callable[[], Coroutine[Any, Any, ModelResponse]],
    ) -> ModelResponse:
        self._requests += 1
        model_id = self.wrapped.model_id

        async def answered() -> Any:
            with translated(model_id):
                return _response_adapter.dump_python(await ask(), mode="json")

        stored = await self._ctx.step(
            f"{self._name}-{self._requests}",
            answered,
            inputs={"model": model_id, "request": fingerprint(messages, model_settings, parameters)},
        )
        return _response_adapter.validate_python(stored)


def fingerprint(
    messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
) -> str:
    """A digest of what a request asks: the conversation, the settings and the tools on offer."""
    dumped = ModelMessagesTypeAdapter.dump_python(messages, mode="json", exclude_none=True)
    tools = [*parameters.function_tools, *parameters.output_tools]
    asked = {
        "messages": _without_chance(dumped),
        "settings": dict(settings or {}),
        "tools": [[tool.name, tool.parameters_json_schema] for tool in tools],
        "output": parameters.output_object.json_schema if parameters.output_object else None,
    }
    return hashlib.sha256(_encoder.encode(asked)).hexdigest()


def _without_chance(messages: list[dict[str, Any]]) -> list[Any]:
    """The messages without clock and random ids; tool calls are numbered in their order instead."""
    numbers: dict[str, int] = {}
    plain = []
    for message in messages:
        parts = [
            {key: value for key, value in part.items() if key not in _OF_THE_ATTEMPT}
            for part in message["parts"]
        ]
        for part in parts:
            if "tool_call_id" in part:
                part["tool_call_id"] = numbers.setdefault(part["tool_call_id"], len(numbers))
        plain.append([message["kind"], message.get("instructions"), parts])
    return plain
