"""Settings of a queue, from code or from the environment, refused early when wrong."""

from __future__ import annotations

import difflib
import os
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from penstock.core.errors import ConfigurationError


def _names(*environment: str) -> AliasChoices:
    return AliasChoices(*environment)


def _split(value: object) -> object:
    """In the environment a list is written with commas."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


class QueueConfig(BaseSettings):
    """Settings shared by the queues of one deployment.

    Values given in code win over ``PENSTOCK_*`` variables, those over ``ARAGORA_QUEUE_*`` and
    ``REDIS_URL``. A value out of its range raises ``ConfigurationError``.

    Ranges: ``max_job_ttl_days`` 1-30, ``dead_letter_ttl_days`` 1-365 (as ``max_job_ttl_days`` when not
    set), ``claim_idle_ms`` 10000-600000, ``retry_max_attempts`` 1-10,
    ``retry_base_delay`` 0.1-60 s, ``retry_max_delay`` 1-3600 s, ``worker_block_ms`` 1000-30000.
    ``compress_above_bytes`` 256-1048576 (the largest leaves everything as it is).
    ``PENSTOCK_EVENT_GROUPS`` is a list with commas.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    redis_url: Annotated[str, Field(validation_alias=_names("PENSTOCK_REDIS_URL", "REDIS_URL"))] = (
        "redis://localhost:6379"
    )
    key_prefix: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            pattern=r"^[^{}\s]+$",
            validation_alias=_names("PENSTOCK_KEY_PREFIX", "ARAGORA_QUEUE_PREFIX"),
        ),
    ] = "penstock:"
    retry_max_attempts: Annotated[
        int,
        Field(ge=1, le=10, validation_alias=_names("PENSTOCK_RETRY_MAX_ATTEMPTS", "ARAGORA_QUEUE_RETRY_MAX")),
    ] = 3
    retry_base_delay: Annotated[
        float,
        Field(
            ge=0.1,
            le=60.0,
            validation_alias=_names("PENSTOCK_RETRY_BASE_DELAY", "ARAGORA_QUEUE_RETRY_BASE_DELAY"),
        ),
    ] = 1.0
    retry_max_delay: Annotated[
        float,
        Field(
            ge=1.0,
            le=3600.0,
            validation_alias=_names("PENSTOCK_RETRY_MAX_DELAY", "ARAGORA_QUEUE_RETRY_MAX_DELAY"),
        ),
    ] = 300.0
    claim_idle_ms: Annotated[
        int,
        Field(
            ge=10_000,
            le=600_000,
            validation_alias=_names("PENSTOCK_CLAIM_IDLE_MS", "ARAGORA_QUEUE_CLAIM_IDLE_MS"),
        ),
    ] = 60_000
    max_job_ttl_days: Annotated[
        int,
        Field(
            ge=1, le=30, validation_alias=_names("PENSTOCK_MAX_JOB_TTL_DAYS", "ARAGORA_QUEUE_MAX_TTL_DAYS")
        ),
    ] = 7
    dead_letter_ttl_days: Annotated[
        int | None, Field(ge=1, le=365, validation_alias=_names("PENSTOCK_DEAD_LETTER_TTL_DAYS"))
    ] = None
    worker_block_ms: Annotated[
        int,
        Field(
            ge=1000,
            le=30_000,
            validation_alias=_names("PENSTOCK_WORKER_BLOCK_MS", "ARAGORA_QUEUE_WORKER_BLOCK_MS"),
        ),
    ] = 5000
    consumer_group: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            validation_alias=_names("PENSTOCK_CONSUMER_GROUP", "ARAGORA_QUEUE_CONSUMER_GROUP"),
        ),
    ] = "debate-workers"
    poll_interval_ms: Annotated[
        int, Field(ge=50, le=60_000, validation_alias=_names("PENSTOCK_POLL_INTERVAL_MS"))
    ] = 1000
    event_groups: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        NoDecode,
        BeforeValidator(_split),
        Field(validation_alias=_names("PENSTOCK_EVENT_GROUPS")),
    ] = ()
    max_events: Annotated[
        int, Field(ge=1000, le=100_000_000, validation_alias=_names("PENSTOCK_MAX_EVENTS"))
    ] = 1_000_000
    compress_above_bytes: Annotated[
        int, Field(ge=256, le=1_048_576, validation_alias=_names("PENSTOCK_COMPRESS_ABOVE_BYTES"))
    ] = 4096

    def __init__(self, **values: Any) -> None:
        """Read and check all settings; raise ``ConfigurationError`` listing each that is wrong."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(explain(error, type(self))) from None

    @property
    def ttl_ms(self) -> int:
        """How long a finished job is kept, in milliseconds."""
        return self.max_job_ttl_days * 86_400_000

    @property
    def dead_letter_ttl_ms(self) -> int:
        """How long a job that failed for good is kept, in milliseconds."""
        return (self.dead_letter_ttl_days or self.max_job_ttl_days) * 86_400_000


def explain(error: ValidationError, model: type[BaseSettings]) -> str:
    """What is wrong with each setting, in one line; values of fields with ``repr=False`` stay hidden."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else "settings"
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, list(model.model_fields), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known are {sorted(model.model_fields)}"
            lines.append(f"unknown setting {name!r}{hint}")
        else:
            given = f", got {problem['input']!r}" if _may_be_shown(problem["loc"], model) else ""
            lines.append(f"{_as_given(name, model)}: {problem['msg']}{given}")
    return "; ".join(lines)


def _as_given(name: str, model: type[BaseSettings]) -> str:
    """The name under which a setting was given: pydantic names the first alias whichever it was."""
    for field in model.model_fields.values():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices) and name in alias.choices:
            return next((str(choice) for choice in alias.choices if str(choice) in os.environ), name)
    return name


def _may_be_shown(place: tuple[int | str, ...], model: type[BaseSettings]) -> bool:
    """Whether the value at ``place`` is no secret; the settings as a whole may hold some."""
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        known = alias.choices if isinstance(alias, AliasChoices) else [alias]
        if place and place[0] in {name, *(choice for choice in known if isinstance(choice, str))}:
            return field.repr
    return False


_current: QueueConfig | None = None


def get_queue_config() -> QueueConfig:
    """The settings in force: those of ``set_queue_config``, else read once from the environment."""
    global _current  # noqa: PLW0603 - the one process-wide default, as the API promises
    if _current is None:
        _current = QueueConfig()
    return _current


def set_queue_config(config: QueueConfig | None) -> None:
    """Use ``config`` wherever none is given; ``None`` reads the environment anew next time."""
    global _current  # noqa: PLW0603 - the one process-wide default, as the API promises
    _current = config
