"""Every error as ``{"detail": …}`` with a fitting status, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from penstock.api.auth import NotAuthenticatedError
from penstock.core.errors import (
    HistoryUnavailableError,
    InvalidJobError,
    InvalidNameError,
    PenstockError,
    QueueUnavailableError,
)

logger = logging.getLogger("penstock.api")

RETRY_AFTER_SECONDS = "5"
_STATUSES: tuple[tuple[type[PenstockError], int], ...] = (
    (NotAuthenticatedError, 401),
    (QueueUnavailableError, 503),
    (HistoryUnavailableError, 503),
    (InvalidJobError, 422),
    (InvalidNameError, 422),
)
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": RETRY_AFTER_SECONDS}}


class RefusedError(PenstockError):
    """A request is refused with an HTTP status of its own."""

    def __init__(self, status: int, detail: str) -> None:
        """Answer ``status`` with ``detail``."""
        super().__init__(detail)
        self.status = status


def explain(error: ValidationError | RequestValidationError) -> str:
    """All that is wrong with a request, one clause a field."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in error.errors()
    )


def answer(status: int, detail: str) -> JSONResponse:
    """A problem as a response."""
    return JSONResponse({"detail": detail}, status_code=status, headers=_HEADERS.get(status))


def install(app: FastAPI) -> None:
    """Teach ``app`` to answer problems."""
    add: Callable[..., None] = app.add_exception_handler
    add(PenstockError, _penstock_problem)
    add(RequestValidationError, _wrong_request)
    add(Exception, _unexpected)


async def _penstock_problem(_: Request, error: PenstockError) -> JSONResponse:
    if isinstance(error, RefusedError):
        return answer(error.status, str(error))
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return answer(status, str(error))
    logger.error("a request failed: %s", error)
    return answer(500, str(error))


async def _wrong_request(_: Request, error: RequestValidationError) -> JSONResponse:
    return answer(422, explain(error))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(500, "the request failed on our side; the reason is in the service's log")
