"""What providers' failures mean for the job that asked: try again, when, or give up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_ai.exceptions import (
    ContentFilterError,
    FallbackExceptionGroup,
    ModelAPIError,
    ModelHTTPError,
    UnexpectedModelBehavior,
    UserError,
)

from penstock.core.errors import ModelRefusedError, ModelUnavailableError, PenstockError
from penstock.core.retry import retry_after_seconds

#: Statuses below 500 that say "later" rather than "no": time-out, conflict, too early, rate limit.
PASSING_STATUSES = frozenset({408, 409, 425, 429})
FIRST_SERVER_STATUS = 500
LONGEST_DETAIL = 500


@contextmanager
def translated(model_name: str) -> Iterator[None]:
    """Raise a model's failures as ``ModelUnavailableError`` or ``ModelRefusedError``.

    A provider that is overloaded, unreachable, broken (5xx) or answers what cannot be read may be
    asked again, after the ``Retry-After`` it named; one that refuses (other 4xx) or filters the
    content is not asked again.
    """
    try:
        yield
    except (ModelAPIError, UnexpectedModelBehavior, FallbackExceptionGroup, UserError) as error:
        raise _meaning(model_name, error) from error
    except (AttributeError, LookupError, TypeError) as error:
        # What clients stumble over when a gateway answers 200 with JSON of another shape.
        what = f"its answer cannot be read ({type(error).__name__}: {error})"
        raise ModelUnavailableError(f"model {model_name}: {what[:LONGEST_DETAIL]}") from error


def _meaning(model_name: str, error: Exception) -> PenstockError:
    what = f"model {model_name}: {_detail(error)}"
    if isinstance(error, FallbackExceptionGroup):
        return _meaning_of_all(model_name, error)
    if isinstance(error, ModelHTTPError) and not _may_pass(error.status_code):
        return ModelRefusedError(what)
    if isinstance(error, ContentFilterError | UserError):
        return ModelRefusedError(what)
    return ModelUnavailableError(what, retry_after_seconds(error))


def _meaning_of_all(model_name: str, group: FallbackExceptionGroup) -> PenstockError:
    meanings = [_meaning(model_name, error) for error in group.exceptions]
    passing = [one for one in meanings if isinstance(one, ModelUnavailableError)]
    if not passing:
        return meanings[0]
    waits = [one.retry_after for one in passing if one.retry_after is not None]
    return ModelUnavailableError(str(passing[0]), min(waits, default=None))


def _may_pass(status: int) -> bool:
    return status in PASSING_STATUSES or status >= FIRST_SERVER_STATUS


def _detail(error: Exception) -> str:
    if isinstance(error, ModelHTTPError):
        return f"HTTP {error.status_code}: {error.body}"[:LONGEST_DETAIL]
    return (str(error) or type(error).__name__)[:LONGEST_DETAIL]
