"""Jobs and outcomes in the form in which the scripts take them, large ones compressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.core.compression import compressed

if TYPE_CHECKING:
    # The heartbeat process imports the engine and should start quickly.
    from penstock.core.acceptance import AcceptedJob
    from penstock.core.outcomes import Outcome

#: Milliseconds until a job is ready: one for all jobs of a call, or one for each.
Delay: TypeAlias = "int | Sequence[int]"


def entries(
    jobs: Sequence[AcceptedJob], delay_ms: Delay, compress_above_bytes: int | None = None
) -> list[Sequence[Any]]:
    """Accepted jobs as the scripts that accept them take each; payloads apart may be compressed."""
    delays = [delay_ms] * len(jobs) if isinstance(delay_ms, int) else delay_ms
    return [
        (
            job_id,
            spec,
            lane,
            delay,
            "1" if record else "",
            max_attempts,
            _packed(payload, compress_above_bytes) if payload else b"",
            flow,
        )
        for (job_id, spec, lane, record, max_attempts, payload, flow), delay in zip(jobs, delays, strict=True)
    ]


def packed_outcomes(outcomes: Sequence[Outcome], compress_above_bytes: int) -> Sequence[Outcome]:
    """Outcomes with large results compressed."""
    if not any(len(outcome.body) > compress_above_bytes for outcome in outcomes):
        return outcomes
    return [
        outcome._replace(body=compressed(outcome.body, compress_above_bytes))
        if outcome.kind == "complete" and isinstance(outcome.body, bytes)
        else outcome
        for outcome in outcomes
    ]


def packed_steps(
    steps: Sequence[tuple[str, str, str, bytes]], compress_above_bytes: int
) -> list[tuple[str, str, str, bytes]]:
    """Finished steps with large bodies compressed."""
    return [
        (job_id, lease, name, compressed(body, compress_above_bytes)) for job_id, lease, name, body in steps
    ]


def _packed(payload: bytes, above_bytes: int | None) -> bytes:
    return payload if above_bytes is None else compressed(payload, above_bytes)
