"""When a failed job is tried again, and after which wait."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from penstock import ConfigurationError, RetryLater, RetryPolicy, is_retryable_error
from penstock.core.errors import (
    InvalidJobError,
    QueueUnavailableError,
    ResultNotSerializableError,
    StepMismatchError,
)
from penstock.core.retry import retry_after_seconds

STEADY = RetryPolicy(jitter=False)


class ProviderError(Exception):
    """An error as model clients raise them."""

    def __init__(self, message: str = "rate limit", **attributes: Any) -> None:
        super().__init__(message)
        vars(self).update(attributes)


def test_the_defaults_are_those_of_the_reference() -> None:
    assert RetryPolicy() == RetryPolicy(
        max_attempts=3,
        base_delay_seconds=1.0,
        max_delay_seconds=300.0,
        exponential_base=2.0,
        jitter=True,
    )


def test_the_wait_doubles_up_to_its_cap() -> None:
    assert [STEADY.delay_seconds(retry) for retry in range(11)] == [
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        128,
        256,
        300,
        300,
    ]
    assert RetryPolicy(5, 0.5, 9.0, 3.0, jitter=False).delay_seconds(2) == 4.5
    assert RetryPolicy(base_delay_seconds=0, jitter=False).delay_seconds(9) == 0


@pytest.mark.parametrize("retry", [2_000, 10**6])
def test_a_huge_retry_is_capped_too(retry: int) -> None:
    assert STEADY.delay_seconds(retry) == 300
    assert RetryPolicy(exponential_base=2, base_delay_seconds=1, jitter=False).delay_seconds(retry) == 300


@pytest.mark.parametrize(("retry", "middle"), [(0, 1.0), (2, 4.0), (20, 300.0)])
def test_jitter_spreads_by_a_fifth_each_way(retry: int, middle: float) -> None:
    delays = [RetryPolicy().delay_seconds(retry) for _ in range(2000)]
    assert min(delays) >= middle * 0.8
    assert max(delays) <= middle * 1.2
    assert min(delays) < middle * 0.83
    assert max(delays) > middle * 1.17


@pytest.mark.parametrize(
    "values",
    [
        {"max_attempts": 0},
        {"base_delay_seconds": -0.1},
        {"base_delay_seconds": float("nan")},
        {"max_delay_seconds": -1},
        {"max_delay_seconds": float("inf")},
        {"exponential_base": 0.5},
        {"exponential_base": float("nan")},
    ],
)
def test_values_that_make_no_policy_are_refused(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        RetryPolicy(**values)


@pytest.mark.parametrize(
    ("error", "is_retryable"),
    [
        (ConnectionError("gone"), True),
        (ConnectionResetError("invalid"), True),
        (ConnectionError("404 not found"), True),
        (TimeoutError("validation took too long"), True),
        (QueueUnavailableError("forbidden"), True),
        (RetryLater(5, "invalid for now"), True),
        (RuntimeError("boom"), True),
        (Exception("anything"), True),
        (OSError("disk"), True),
        (ProviderError("rate limit exceeded"), True),
        (ProviderError("503 server error"), True),
        (ValueError("x"), False),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "x"), False),
        (TypeError("x"), False),
        (KeyError("x"), False),
        (AttributeError("x"), False),
        (ImportError("x"), False),
        (ModuleNotFoundError("x"), False),
        (SyntaxError("x"), False),
        (InvalidJobError("x"), False),
        (ResultNotSerializableError("x"), False),
        (StepMismatchError("x"), False),
        (RuntimeError("Invalid API key"), False),
        (RuntimeError("model not found"), False),
        (RuntimeError("401 Unauthorized"), False),
        (RuntimeError("FORBIDDEN"), False),
        (RuntimeError("400 bad request"), False),
        (RuntimeError("schema validation failed"), False),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}" if isinstance(value, Exception) else "",
)
def test_which_errors_are_tried_again(error: Exception, is_retryable: bool) -> None:
    assert is_retryable_error(error) is is_retryable
    assert RetryPolicy().should_retry(1, error) is is_retryable


def test_attempts_are_limited_by_policy_and_job() -> None:
    error = RuntimeError("boom")
    assert RetryPolicy(max_attempts=3).should_retry(2, error)
    assert not RetryPolicy(max_attempts=3).should_retry(3, error)
    assert not RetryPolicy(max_attempts=9).should_retry(2, error, max_attempts=2)
    assert not RetryPolicy(max_attempts=2).should_retry(2, error, max_attempts=9)


class TestRetryAfter:
    """What a provider asks for is honoured."""

    @pytest.mark.parametrize(
        ("asked", "seconds"),
        [
            (7, 7.0),
            (1.5, 1.5),
            ("30", 30.0),
            (" 2.5 ", 2.5),
            ("0", 0.0),
            (-5, 0.0),
            (10**9, 86_400.0),
            (float("inf"), 86_400.0),
            (float("nan"), None),
            ("soon", None),
            ("-5", None),
            ("²", None),
            ("", None),
            (b"5", None),
            (None, None),
        ],
    )
    def test_seconds(self, asked: object, seconds: float | None) -> None:
        assert retry_after_seconds(ProviderError(retry_after=asked)) == seconds

    @pytest.mark.parametrize("form", ["imf", "asctime", "no zone"])
    def test_a_date(self, form: str) -> None:
        moment = datetime.now(UTC) + timedelta(seconds=100)
        text = {
            "imf": format_datetime(moment, usegmt=True),
            "asctime": moment.strftime("%a %b %d %H:%M:%S %Y"),
            "no zone": moment.strftime("%a, %d %b %Y %H:%M:%S -0000"),
        }[form]
        seconds = retry_after_seconds(ProviderError(retry_after=text))
        assert seconds is not None
        assert 95 < seconds <= 100

    def test_a_date_that_has_passed(self) -> None:
        assert retry_after_seconds(ProviderError(retry_after="Wed, 21 Oct 2015 07:28:00 GMT")) == 0.0

    @pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
    def test_headers_of_the_response_or_the_error(self, name: str) -> None:
        response = SimpleNamespace(headers={name: "12"})
        assert retry_after_seconds(ProviderError(response=response)) == 12.0
        assert retry_after_seconds(ProviderError(headers={name: "13"})) == 13.0

    def test_no_headers(self) -> None:
        assert retry_after_seconds(ProviderError(response=None)) is None
        assert retry_after_seconds(ProviderError(response=SimpleNamespace(headers=None))) is None
        assert retry_after_seconds(ValueError("x")) is None

    def test_it_replaces_the_policys_own_wait(self) -> None:
        assert STEADY.delay_seconds(0, ProviderError(retry_after=1000)) == 1000
        assert STEADY.delay_seconds(3, RetryLater(0.5)) == 0.5
        assert STEADY.delay_seconds(3, RuntimeError("x")) == 8
