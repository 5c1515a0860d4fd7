"""Jobs in an order: chains, groups and chords, which are all graphs of parents and children."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from penstock.core.errors import InvalidJobError
from penstock.core.job import Job

Part: TypeAlias = "Job | Flow"


@dataclass(slots=True)
class Flow:
    """Jobs of which some wait for others, parents before their children.

    ``heads`` wait for no job of the flow, ``tails`` are waited for by none. Enqueue all of it at once:
    ``await queue.enqueue_many(flow)``. Repeating that after an error makes no double.
    """

    jobs: list[Job] = field(default_factory=list)
    heads: list[Job] = field(default_factory=list)
    tails: list[Job] = field(default_factory=list)

    def __iter__(self) -> Iterator[Job]:
        """The jobs, parents first."""
        return iter(self.jobs)

    def __len__(self) -> int:
        return len(self.jobs)


def chain(*parts: Part) -> Flow:
    """One after the other: each part starts when all of the part before it has completed.

    ``ctx.parents()`` gives a handler what its parents ended with. A part is a job or a flow.
    """
    flow = Flow()
    for each in parts:
        part = _flow_of(each)
        for head in part.heads:
            _add_parents(head, flow.tails)
        flow.jobs += part.jobs
        flow.heads = flow.heads or part.heads
        flow.tails = part.tails
    return _checked(flow)


def group(*parts: Part) -> Flow:
    """Side by side: no part waits for another."""
    flow = Flow()
    for part in map(_flow_of, parts):
        flow.jobs += part.jobs
        flow.heads = [*flow.heads, *part.heads]
        flow.tails = [*flow.tails, *part.tails]
    return _checked(flow)


def chord(parts: Iterable[Part], then: Part) -> Flow:
    """Side by side, and ``then`` when all have completed."""
    return chain(group(*parts), then)


def _flow_of(part: Part) -> Flow:
    if isinstance(part, Flow):
        return part
    if isinstance(part, Job):
        return Flow([part], [part], [part])
    raise InvalidJobError(f"a flow is made of jobs and flows, got {type(part).__name__}")


def _add_parents(job: Job, parents: list[Job]) -> None:
    job.parents = list(dict.fromkeys([*job.parents, *(_reference(parent, job) for parent in parents)]))


def _reference(parent: Job, child: Job) -> str:
    """A parent on another queue is named with its queue."""
    if parent.queue_name is None or parent.queue_name == child.queue_name:
        return parent.id
    return f"{parent.queue_name}/{parent.id}"


def _checked(flow: Flow) -> Flow:
    seen: set[str] = set()
    for job in flow.jobs:
        if job.id in seen:
            raise InvalidJobError(f"job {job.id} stands twice in one flow: give each its own id")
        seen.add(job.id)
    if not flow.jobs:
        raise InvalidJobError("a flow needs at least one job")
    return flow
