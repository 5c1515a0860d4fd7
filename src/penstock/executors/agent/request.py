"""What an agent job asks for, checked before anything is spent on it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from penstock.core.errors import InvalidJobError
from penstock.core.settings import ServiceSettings

LONGEST_GOAL: Final = 4000


class AgentRequest(BaseModel):
    """The part of a run's payload that the agent executor reads; the rest is for others."""

    model_config = ConfigDict(extra="ignore", strict=True)

    goal: str = Field(max_length=LONGEST_GOAL)
    max_steps: int | None = Field(default=None, ge=1)
    dry_run: bool = False
    context: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None

    @field_validator("goal")
    @classmethod
    def _says_something(cls, goal: str) -> str:
        if not goal.strip():
            raise ValueError("the goal is empty: say what is wanted")
        return goal.strip()

    @property
    def folder(self) -> str | None:
        """The folder of the workspace that the run is about, if its context names one."""
        folder = self.context.get("folder")
        if folder is not None and not isinstance(folder, str):
            raise InvalidJobError(f"context.folder is {folder!r}, expected the name of a folder")
        return folder

    def steps_allowed(self, settings: ServiceSettings) -> int:
        """The most steps that a plan may have."""
        return self.max_steps if self.max_steps is not None else settings.max_steps


def read_request(payload: Any) -> AgentRequest:
    """Check a payload; raises ``InvalidJobError`` that lists what is wrong with it."""
    try:
        return AgentRequest.model_validate(payload)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'payload'}: {one['msg']}" for one in error.errors()
        )
        raise InvalidJobError(f"this is not an agent job: {problems}") from None
