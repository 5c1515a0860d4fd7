"""The agent executor: a goal becomes a plan, the plan becomes durable steps with tools, then a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from penstock.core.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.core.settings import ServiceSettings
    from penstock.worker.context import JobContext

AGENT_TYPE: Final = "agent"

__all__ = ["AGENT_TYPE", "agent_handler"]


def agent_handler(
    settings: ServiceSettings | None = None,
) -> Callable[[JobContext], Awaitable[dict[str, Any]]]:
    """A handler for jobs of type ``agent``: ``{"goal", "max_steps", "dry_run", "context", "model"}``.

    It plans the goal with the model, does each step with tools over the files of
    ``settings.workspace`` (or the folder of it that ``context["folder"]`` names), and returns
    ``{"answer", "steps", "artifacts", "model", "usage"}``. Every model request, tool call and step is
    durable. Files are written below ``.penstock/artifacts/<job id>`` of the workspace.

    Jobs fail with ``InvalidJobError`` (the payload), ``ConfigurationError`` (the model), ``GoalFailedError``
    (it cannot be done) or ``ModelRefusedError``, and are tried again on ``ModelUnavailableError``.
    Raises ``ConfigurationError`` when the packages for agents are not installed.
    """
    try:
        from penstock.executors.agent.handler import perform
    except ImportError as error:
        raise ConfigurationError(
            f"agents need packages that are not installed ({error}): pip install 'penstock[agents]'"
        ) from error
    if settings is None:
        from penstock.core.settings import get_service_settings

        settings = get_service_settings()
    in_force = settings

    async def run_agent(ctx: JobContext) -> dict[str, Any]:
        return await perform(ctx, in_force)

    return run_agent
