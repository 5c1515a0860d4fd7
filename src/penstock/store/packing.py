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
# The lane, whether it is recorded, its attempts, a payload apart, options of flow control.
_USUAL = ("normal", False, 3, b"", b"")


def plain_entries(jobs: Sequence[AcceptedJob], delay_ms: Delay) -> list[Sequence[Any]] | None:
    """Jobs as the script for the usual terms takes them; ``None`` when some are on others."""
    delayed = delay_ms if isinstance(delay_ms, int) else any(delay_ms)
    if delayed or any(job[2:] != _USUAL for job in jobs):
        return None
    return [job[:2] for job in jobs]


def entries(
    jobs: Sequence[AcceptedJob], delay_ms: Delay, compress_above_bytes: int | None = None
) -> list[Sequence[Any]]:
    """Jobs as the scripts for any terms take each; payloads apart may be compressed."""
    delays = [delay_ms] * len(jobs) if isinstance(delay_ms, int) else delay_ms
    return [
        (
            job.id,
            job.spec,
            terms_of(job, delay),
            _packed(job.payload, compress_above_bytes) if job.payload else b"",
        )
        for job, delay in zip(jobs, delays, strict=True)
    ]


def terms_of(job: AcceptedJob, delay_ms: int = 0) -> bytes:
    """What a script is told of a job beside its spec and payload: nothing if that is the usual."""
    if not delay_ms and job[2:] == _USUAL:
        return b""
    terms = f"{job.lane} {delay_ms} {job.record:d} {job.max_attempts} "
    return terms.encode() + job.flow


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
