"""What the demo asks for: a file of goals, one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from penstock.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal and the context it is submitted with."""

    text: str
    context: dict[str, Any] = field(default_factory=dict)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    goal: str = Field(min_length=1)
    context: dict[str, Any] = Field(default_factory=dict)


def read_goals(path: Path) -> list[Goal]:
    """The goals of a file, in its order; raises `ConfigurationError` naming the first wrong line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(f"the goals cannot be read from {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text: expected one JSON object a line") from None
    goals = [_goal(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not goals:
        raise ConfigurationError(f'{path} has no goal: expected lines such as {{"goal": "Count the files."}}')
    return goals


def _goal(path: Path, number: int, line: str) -> Goal:
    try:
        read = _Line.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the line"
        raise ConfigurationError(
            f'{path} line {number}: {where}: {problem["msg"]}; expected {{"goal": "Count the files."}}'
        ) from None
    return Goal(read.goal, read.context)
