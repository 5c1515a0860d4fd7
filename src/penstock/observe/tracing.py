"""Trace context across the queue: from the caller that enqueues to the worker that runs the job."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from penstock.core.job import Job

Result = TypeVar("Result")

_propagator = TraceContextTextMapPropagator()
_TRACE_FIELD = "_trace"


def current_trace() -> dict[str, str]:
    """The current W3C trace context (``traceparent``, ``tracestate``), empty outside any span."""
    if not trace.get_current_span().get_span_context().is_valid:
        return {}
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier


def inject_trace_context(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``payload`` that carries the current trace context under ``_trace``.

    Enqueueing carries the context by itself; this is for payloads that travel another way.
    """
    carrier = current_trace()
    return {**payload, _TRACE_FIELD: carrier} if carrier else dict(payload)


def trace_of(job: Job) -> dict[str, str]:
    """The trace context a job carries, in its own field or in its payload."""
    if job.trace:
        return job.trace
    carried = job.payload.get(_TRACE_FIELD) if isinstance(job.payload, dict) else None
    return carried if isinstance(carried, dict) else {}


@contextmanager
def continued(carrier: Mapping[str, str]) -> Iterator[None]:
    """Make the trace context in ``carrier`` the current one while the block runs."""
    token = context.attach(_propagator.extract(dict(carrier)))
    try:
        yield
    finally:
        context.detach(token)


def traced_job(
    name: str,
) -> Callable[[Callable[[Job], Awaitable[Result]]], Callable[[Job], Awaitable[Result]]]:
    """Run an executor of jobs in a span called ``name``, a child of the span that enqueued the job."""

    def wrap(execute: Callable[[Job], Awaitable[Result]]) -> Callable[[Job], Awaitable[Result]]:
        @functools.wraps(execute)
        async def traced(job: Job) -> Result:
            with continued(trace_of(job)):
                tracer = trace.get_tracer("penstock")
                attributes = {"penstock.job.id": job.id, "penstock.job.type": job.type}
                with tracer.start_as_current_span(name, attributes=attributes):
                    return await execute(job)

        return traced

    return wrap
