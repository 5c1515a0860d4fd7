"""Debate jobs: what they ask for, what they give back, and the worker that runs them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from penstock.core.errors import ConfigurationError, InvalidJobError
from penstock.core.job import Job
from penstock.core.retry import RetryPolicy
from penstock.store.streams import RedisStreamsQueue
from penstock.worker.context import JobContext
from penstock.worker.worker import Worker

DEBATE_TYPE = "debate"
DEBATE_QUEUE = "debates"

DebateExecutor: TypeAlias = Callable[[Job], Awaitable[Any]]


@dataclass(slots=True)
class DebateJobPayload:
    """What a debate is about and how it is held. ``timeout_seconds`` bounds one attempt."""

    question: str
    agents: list[str] = field(default_factory=list)
    rounds: int = 9
    consensus: str = "majority"
    protocol: str = "standard"
    timeout_seconds: int | None = None
    webhook_url: str | None = None
    user_id: str | None = None
    organization_id: str | None = None


@dataclass(slots=True)
class DebateResult:
    """How a debate ended. ``confidence`` is from 0 to 1; ``token_usage`` counts tokens by kind."""

    debate_id: str
    consensus_reached: bool
    final_answer: str | None
    confidence: float
    rounds_used: int
    participants: list[str]
    duration_seconds: float
    token_usage: dict[str, int]
    error: str | None = None


def create_debate_job(  # noqa: PLR0913, PLR0917 - a debate's fields, in the order the API promises
    question: str,
    agents: list[str] | None = None,
    rounds: int = 9,
    consensus: str = "majority",
    protocol: str = "standard",
    priority: int = 0,
    max_attempts: int = 3,
    timeout_seconds: int | None = None,
    webhook_url: str | None = None,
    user_id: str | None = None,
    organization_id: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Job:
    """A job for the queue ``debates``; raises ``InvalidJobError`` for a debate that cannot be held."""
    if not question.strip():
        raise InvalidJobError("a debate needs a question")
    if rounds < 1:
        raise InvalidJobError(f"a debate needs at least one round, got {rounds}")
    payload = DebateJobPayload(
        question=question,
        agents=list(agents or []),
        rounds=rounds,
        consensus=consensus,
        protocol=protocol,
        timeout_seconds=timeout_seconds,
        webhook_url=webhook_url,
        user_id=user_id,
        organization_id=organization_id,
    )
    return Job(
        payload=asdict(payload),
        type=DEBATE_TYPE,
        queue_name=DEBATE_QUEUE,
        priority=priority,
        max_attempts=max_attempts,
        timeout_seconds=timeout_seconds,
        metadata=dict(metadata or {}),
    )


def get_debate_payload(job: Job) -> DebateJobPayload:
    """The payload of a debate job; raises ``InvalidJobError`` when it is not one."""
    known = {item.name for item in fields(DebateJobPayload)}
    if not isinstance(job.payload, dict) or "question" not in job.payload:
        raise InvalidJobError(f"job {job.id} is not a debate: its payload has no question")
    return DebateJobPayload(**{name: value for name, value in job.payload.items() if name in known})


class DebateWorker(Worker):
    """A ``Worker`` for the queue ``debates`` over the given queue's connection.

    ``executor(job)`` gets the ``Job`` and returns JSON or a ``DebateResult``.
    """

    def __init__(
        self,
        queue: RedisStreamsQueue,
        worker_id: str,
        executor: DebateExecutor,
        max_concurrent: int = 3,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """Raises ``ConfigurationError`` when ``executor`` cannot be called."""
        if not callable(executor):
            raise ConfigurationError(f"executor must be an async function of a Job, got {executor!r}")

        async def execute(context: JobContext) -> Any:
            result = await executor(context.job)
            return asdict(result) if isinstance(result, DebateResult) else result

        super().__init__(
            queue.on_queue(DEBATE_QUEUE), {DEBATE_TYPE: execute}, worker_id, max_concurrent, retry_policy
        )
