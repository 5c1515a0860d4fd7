"""Settings of the run service: API, keeper, runs and webhooks, refused early when wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, AliasChoices, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from penstock.core.config import explain
from penstock.core.errors import ConfigurationError
from penstock.core.names import check_queue_name

_MOST_ATTEMPTS: Final = 10

#: The older names count retries, Penstock counts attempts: n retries are n + 1 attempts.
_RETRIES_AS_ATTEMPTS: Final = {
    "QUEUE_MAX_RETRIES": "PENSTOCK_RUN_MAX_ATTEMPTS",
    "WEBHOOK_MAX_RETRIES": "PENSTOCK_WEBHOOK_MAX_ATTEMPTS",
}


def _names(*environment: str) -> AliasChoices:
    return AliasChoices(*environment)


def _check_database_url(url: str) -> str:
    if url.partition("://")[0] not in {"postgresql", "postgres"}:
        raise ValueError("expected postgresql://user:password@host:port/database, without a driver's name")
    return url


def _check_web_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("expected a URL that begins with http:// or https://")
    return url


class ServiceSettings(BaseSettings):
    """Settings shared by the processes of one run service.

    Values given in code win over ``PENSTOCK_*`` variables, those over the older names
    (``QUEUE_*``, ``WEBHOOK_*``, ``MAX_STEPS``). A value out of its range raises ``ConfigurationError``;
    neither it nor ``repr`` shows the secret values, ``database_url`` and ``secret_key``.

    Ranges: ``secret_key`` 32 characters or more, attempts 1-10, ``run_retry_delay_seconds`` 0.1-3600,
    ``webhook_timeout_seconds`` 0.1-300, ``webhook_backoff_base`` 0.1-60 s (retry n follows after
    base to the power of n), ``max_steps`` 1-500, ``sync_wait_seconds`` 0.1-3600.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=()
    )

    database_url: Annotated[
        Annotated[str, AfterValidator(_check_database_url)] | None,
        Field(repr=False, validation_alias=_names("PENSTOCK_DATABASE_URL")),
    ] = None
    secret_key: Annotated[
        Annotated[str, Field(min_length=32)] | None,
        Field(repr=False, validation_alias=_names("PENSTOCK_SECRET_KEY")),
    ] = None
    run_queue: Annotated[
        str,
        AfterValidator(check_queue_name),
        Field(validation_alias=_names("PENSTOCK_RUN_QUEUE", "QUEUE_STREAM_NAME")),
    ] = "runs"
    run_max_attempts: Annotated[
        int, Field(ge=1, le=_MOST_ATTEMPTS, validation_alias=_names("PENSTOCK_RUN_MAX_ATTEMPTS"))
    ] = 4
    run_retry_delay_seconds: Annotated[
        float,
        Field(
            ge=0.1,
            le=3600.0,
            validation_alias=_names("PENSTOCK_RUN_RETRY_DELAY_SECONDS", "QUEUE_RETRY_DELAY_SECONDS"),
        ),
    ] = 60.0
    webhook_queue: Annotated[
        str, AfterValidator(check_queue_name), Field(validation_alias=_names("PENSTOCK_WEBHOOK_QUEUE"))
    ] = "webhooks"
    webhook_timeout_seconds: Annotated[
        float,
        Field(
            ge=0.1,
            le=300.0,
            validation_alias=_names("PENSTOCK_WEBHOOK_TIMEOUT_SECONDS", "WEBHOOK_TIMEOUT_SECONDS"),
        ),
    ] = 10.0
    webhook_max_attempts: Annotated[
        int, Field(ge=1, le=_MOST_ATTEMPTS, validation_alias=_names("PENSTOCK_WEBHOOK_MAX_ATTEMPTS"))
    ] = 5
    webhook_backoff_base: Annotated[
        float,
        Field(
            ge=0.1,
            le=60.0,
            validation_alias=_names("PENSTOCK_WEBHOOK_BACKOFF_BASE", "WEBHOOK_RETRY_BACKOFF_BASE"),
        ),
    ] = 2.0
    webhooks_allow_loopback: Annotated[
        bool, Field(validation_alias=_names("PENSTOCK_WEBHOOKS_ALLOW_LOOPBACK"))
    ] = False
    max_steps: Annotated[
        int, Field(ge=1, le=500, validation_alias=_names("PENSTOCK_MAX_STEPS", "MAX_STEPS"))
    ] = 20
    model: Annotated[str, Field(min_length=1, max_length=200, validation_alias=_names("PENSTOCK_MODEL"))] = (
        "offline"
    )
    model_base_url: Annotated[
        Annotated[str, AfterValidator(_check_web_url)] | None,
        Field(validation_alias=_names("PENSTOCK_MODEL_BASE_URL")),
    ] = None
    workspace: Annotated[Path, Field(validation_alias=_names("PENSTOCK_WORKSPACE"))] = Path()
    sync_wait_seconds: Annotated[
        float, Field(ge=0.1, le=3600.0, validation_alias=_names("PENSTOCK_SYNC_WAIT_SECONDS"))
    ] = 60.0

    def __init__(self, **values: Any) -> None:
        """Read and check all settings; raise ``ConfigurationError`` listing each that is wrong."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(explain(error, type(self))) from None

    @model_validator(mode="after")
    def _queues_differ(self) -> Self:
        if self.run_queue == self.webhook_queue:
            raise ValueError(
                f"run_queue and webhook_queue are both {self.run_queue!r}: runs and deliveries need a "
                "queue each"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, first one first: code, environment, the older counts of retries."""
        return init_settings, env_settings, _OlderRetryCounts(settings_cls)


class _OlderRetryCounts(PydanticBaseSettingsSource):
    """Attempts from the variables that count retries, where nothing else says them."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Nothing by field: these variables are read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Each retries variable that is in force, as attempts; raise ``ConfigurationError`` if wrong."""
        found: dict[str, Any] = {}
        for variable, meant in _RETRIES_AS_ATTEMPTS.items():
            raw = os.environ.get(variable)
            if raw is not None and meant not in self.current_state:
                found[meant] = _attempts(variable, raw)
        return found


def _attempts(variable: str, raw: str) -> int:
    if raw.strip().isdecimal() and int(raw) < _MOST_ATTEMPTS:
        return int(raw) + 1
    raise ConfigurationError(
        f"{variable}: expected a number of retries from 0 to {_MOST_ATTEMPTS - 1}, got {raw!r}"
    )


_current: ServiceSettings | None = None


def get_service_settings() -> ServiceSettings:
    """The settings in force: those of ``set_service_settings``, else read once from the environment."""
    global _current  # noqa: PLW0603 - the one process-wide default, as the API promises
    if _current is None:
        _current = ServiceSettings()
    return _current


def set_service_settings(settings: ServiceSettings | None) -> None:
    """Use ``settings`` wherever none are given; ``None`` reads the environment anew next time."""
    global _current  # noqa: PLW0603 - the one process-wide default, as the API promises
    _current = settings
