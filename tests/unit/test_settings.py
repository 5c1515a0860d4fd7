"""Settings of the run service: where they come from, what is refused, what is never shown."""

from __future__ import annotations

import os
from typing import Any

import pytest

from penstock.core.config import QueueConfig
from penstock.core.errors import ConfigurationError
from penstock.core.settings import ServiceSettings, get_service_settings, set_service_settings

SECRET = "not-to-be-seen-in-any-message-0123456789"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PENSTOCK_", "QUEUE_", "WEBHOOK_", "MAX_STEPS")):
            monkeypatch.delenv(name)


def test_defaults_are_those_of_the_design() -> None:
    settings = ServiceSettings()
    assert (settings.run_queue, settings.run_max_attempts, settings.run_retry_delay_seconds) == (
        "runs",
        4,
        60,
    )
    assert (settings.webhook_queue, settings.webhook_max_attempts) == ("webhooks", 5)
    assert (settings.webhook_timeout_seconds, settings.webhook_backoff_base) == (10, 2)
    assert (settings.max_steps, settings.model, settings.sync_wait_seconds) == (20, "offline", 60)
    assert settings.database_url is None
    assert settings.secret_key is None
    assert settings.webhooks_allow_loopback is False


def test_the_older_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "QUEUE_STREAM_NAME": "chad:jobs",
        "QUEUE_RETRY_DELAY_SECONDS": "30",
        "QUEUE_MAX_RETRIES": "3",
        "WEBHOOK_TIMEOUT_SECONDS": "7",
        "WEBHOOK_MAX_RETRIES": "0",
        "WEBHOOK_RETRY_BACKOFF_BASE": "3",
        "MAX_STEPS": "5",
    }.items():
        monkeypatch.setenv(name, value)
    settings = ServiceSettings()
    assert settings.run_queue == "chad:jobs"
    assert settings.run_retry_delay_seconds == 30
    assert settings.run_max_attempts == 4
    assert settings.webhook_timeout_seconds == 7
    assert settings.webhook_max_attempts == 1
    assert settings.webhook_backoff_base == 3
    assert settings.max_steps == 5


@pytest.mark.parametrize("older", ["1", "many"])
def test_our_names_win_over_the_older_ones(monkeypatch: pytest.MonkeyPatch, older: str) -> None:
    monkeypatch.setenv("QUEUE_MAX_RETRIES", older)
    monkeypatch.setenv("PENSTOCK_RUN_MAX_ATTEMPTS", "9")
    monkeypatch.setenv("MAX_STEPS", older)
    monkeypatch.setenv("PENSTOCK_MAX_STEPS", "11")
    assert ServiceSettings().run_max_attempts == 9
    assert ServiceSettings().max_steps == 11


def test_code_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_MAX_RETRIES", "many")
    monkeypatch.setenv("PENSTOCK_MODEL", "openai:some")
    settings = ServiceSettings(run_max_attempts=2, model="offline")
    assert (settings.run_max_attempts, settings.model) == (2, "offline")


@pytest.mark.parametrize("retries", ["10", "-1", "three", "1.5", ""])
@pytest.mark.parametrize("variable", ["QUEUE_MAX_RETRIES", "WEBHOOK_MAX_RETRIES"])
def test_wrong_retries_are_named_by_their_own_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, retries: str
) -> None:
    monkeypatch.setenv(variable, retries)
    with pytest.raises(ConfigurationError, match=f"{variable}: expected .* from 0 to 9, got '{retries}'"):
        ServiceSettings()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"secret_ky": SECRET}, "did you mean 'secret_key'"),
        ({"run_queue": "a b"}, "queue name 'a b' is not allowed"),
        ({"run_queue": "one", "webhook_queue": "one"}, "need a queue each"),
        ({"run_max_attempts": 11}, "less than or equal to 10, got 11"),
        ({"run_retry_delay_seconds": float("nan")}, "got nan"),
        ({"model_base_url": "localhost:8000"}, "begins with http"),
        ({"database_url": "mysql://root@host/db"}, "expected postgresql://"),
        ({"secret_key": "short"}, "at least 32"),
        ({"max_steps": 0, "model": ""}, "max_steps.*; model"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        ServiceSettings(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"database_url": f"mysql://user:{SECRET}@host/db"},
        {"secret_key": SECRET[:20]},
        {"secret_key": SECRET, "run_queue": "one", "webhook_queue": "one"},
        {"secret_ky": SECRET},
        {"secret_key": [SECRET]},
        {"database_url": {"url": SECRET}},
    ],
)
@pytest.mark.parametrize("way", ["code", "environment"])
def test_secrets_stay_out_of_messages(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], way: str
) -> None:
    if way == "environment":
        for name, value in given.items():
            monkeypatch.setenv(f"PENSTOCK_{name.upper()}", str(value))
        monkeypatch.setenv("PENSTOCK_MAX_STEPS", "0")
        given = {}
    with pytest.raises(ConfigurationError) as refused:
        ServiceSettings(**given)
    assert SECRET[:20] not in str(refused.value)


def test_secrets_stay_out_of_repr() -> None:
    settings = ServiceSettings(secret_key=SECRET, database_url=f"postgresql://u:{SECRET}@host/db")
    assert SECRET not in repr(settings) + str(settings)
    assert settings.secret_key == SECRET


def test_values_that_are_no_secret_are_still_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"claim_idle_ms: .* got 5"):
        QueueConfig(claim_idle_ms=5)


def test_settings_in_force_are_read_once_and_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_service_settings(None)
    try:
        monkeypatch.setenv("PENSTOCK_MAX_STEPS", "3")
        assert get_service_settings().max_steps == 3
        monkeypatch.setenv("PENSTOCK_MAX_STEPS", "4")
        assert get_service_settings().max_steps == 3
        set_service_settings(ServiceSettings(max_steps=8))
        assert get_service_settings().max_steps == 8
    finally:
        set_service_settings(None)
