"""When a failed job is tried again, and how long it waits before."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from penstock.core.errors import (
    ConfigurationError,
    HandlerError,
    InvalidJobError,
    RetryLater,
    SignalTimeoutError,
    StepError,
)

RETRYABLE_TYPES: tuple[type[BaseException], ...] = (ConnectionError, TimeoutError, RetryLater)
NON_RETRYABLE_TYPES: tuple[type[BaseException], ...] = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    SyntaxError,
    HandlerError,
    InvalidJobError,
    SignalTimeoutError,
    StepError,
)
NON_RETRYABLE_WORDS = (
    "invalid",
    "not found",
    "unauthorized",
    "forbidden",
    "bad request",
    "validation",
)
JITTER = 0.2
LONGEST_RETRY_AFTER_SECONDS = 86_400.0


def is_retryable_error(error: BaseException) -> bool:
    """Whether trying again may help.

    Types decide before messages: a ``ConnectionError`` is retried whatever it says, a
    ``ValueError`` never is. Any other error is retried unless its message holds one of
    "invalid", "not found", "unauthorized", "forbidden", "bad request", "validation".
    """
    if isinstance(error, RETRYABLE_TYPES):
        return True
    if isinstance(error, NON_RETRYABLE_TYPES):
        return False
    message = str(error).lower()
    return not any(word in message for word in NON_RETRYABLE_WORDS)


def retry_after_seconds(error: BaseException) -> float | None:
    """The wait a provider asked for, in seconds, if the error carries one.

    Read from a ``retry_after`` attribute or from the ``Retry-After`` header of the error or of an
    attached response (RFC 9110 section 10.2.3: seconds or an HTTP date). At most one day.
    """
    asked = getattr(error, "retry_after", None)
    if asked is None:
        asked = _header(getattr(error, "response", None)) or _header(error)
    seconds = _seconds(asked)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _header(carrier: object) -> Any:
    headers: Any = getattr(carrier, "headers", None)
    if not hasattr(headers, "get"):
        return None
    # Most header collections do not mind the case; a plain dict does.
    return headers.get("Retry-After") or headers.get("retry-after")


def _seconds(asked: object) -> float | None:
    if isinstance(asked, int | float) and asked == asked:  # noqa: PLR0124 - NaN is not a wait
        return float(asked)
    if not isinstance(asked, str):
        return None
    try:
        return float(asked) if asked.strip().replace(".", "", 1).isdigit() else _until(asked)
    except ValueError:
        return None


def _until(http_date: str) -> float:
    moment = parsedate_to_datetime(http_date)
    if moment.tzinfo is None:
        # The old asctime form names no zone; HTTP dates are in GMT.
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which waits a job is tried again.

    The wait before retry ``n`` (counted from 0) is ``base_delay_seconds * exponential_base ** n``,
    capped at ``max_delay_seconds`` and spread by ± 20 % when ``jitter`` is on.
    """

    max_attempts: int = 3
    base_delay_seconds: float = 1.0
    max_delay_seconds: float = 300.0
    exponential_base: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        """Refuse values that make no policy, with ``ConfigurationError``."""
        if self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts must be at least 1, got {self.max_attempts}")
        for name, seconds in (("base", self.base_delay_seconds), ("max", self.max_delay_seconds)):
            if not 0 <= seconds < math.inf:
                raise ConfigurationError(f"{name}_delay_seconds must be 0 or more seconds, got {seconds}")
        if not 1 <= self.exponential_base < math.inf:
            raise ConfigurationError(f"exponential_base must be at least 1, got {self.exponential_base}")

    def delay_seconds(self, retry: int, error: BaseException | None = None) -> float:
        """The wait before retry ``retry`` (0 for the first), honouring what ``error`` asks for."""
        asked = None if error is None else retry_after_seconds(error)
        if asked is not None:
            return asked
        try:
            delay = min(self.base_delay_seconds * self.exponential_base**retry, self.max_delay_seconds)
        except OverflowError:
            delay = self.max_delay_seconds
        if self.jitter:
            delay *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
        return delay

    def should_retry(self, attempts: int, error: BaseException, max_attempts: int | None = None) -> bool:
        """Whether a job that has spent ``attempts`` and failed with ``error`` is tried again.

        ``max_attempts`` is the job's own limit; the stricter of the two counts.
        """
        limit = self.max_attempts if max_attempts is None else min(self.max_attempts, max_attempts)
        return attempts < limit and is_retryable_error(error)
