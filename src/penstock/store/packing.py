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


def are_plain(jobs: Sequence[AcceptedJob], delay_ms: Delay) -> bool:
    """Whether the script for the usual terms can take all of them."""
    delayed = delay_ms if isinstance(delay_ms, int) else any(delay_ms)
    return not delayed and all(job.is_usual for job in jobs)


def plain_entries(jobs: Sequence[AcceptedJob]) -> list[Sequence[Any]]:
    """Jobs as the script for the usual terms takes each."""
    return [(job.id, job.spec) for job in jobs]


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
    if not delay_ms and job.is_usual:
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
