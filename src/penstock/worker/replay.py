"""Replay: a job's handler run again offline, from what the job has stored, to see where it would go.

Nothing is written and no step function is called. Code of the handler outside its steps does run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn

import msgspec

from penstock.core.codec import SPEC_FORMAT, JobSpec, decode, encode_result
from penstock.core.errors import ConfigurationError, StepMismatchError
from penstock.core.job import JobStatus
from penstock.core.outcomes import Claimed
from penstock.worker.context import JobContext
from penstock.worker.dispatch import Dispatcher
from penstock.worker.handlers import Found, HandlerKind, Handlers, HandlerTable, WorkerTask
from penstock.worker.holdings import Holding
from penstock.worker.replay_source import ExportReader, History, read_export
from penstock.worker.reporter import Reporter
from penstock.worker.resources import Resources
from penstock.worker.steps import StepBook, StepRecord, read_step
from penstock.worker.thread_crew import ThreadCrew

_encoder = msgspec.json.Encoder()


class ReplayVerdict(StrEnum):
    """How a replay ended."""

    SAME = "same"
    """To the end, with what the job ended with."""
    DIFFERS = "differs"
    """The handler takes another way, or comes to another end, than the job did."""
    WOULD_GO_ON = "would_go_on"
    """To a step or wait that the job has not finished."""
    WOULD_END = "would_end"
    """To an end that the job has not reached yet."""


class ReplayReport(NamedTuple):
    """What a replay found: the verdict, a sentence for people, and the step in question if there is one."""

    verdict: ReplayVerdict
    text: str
    step: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the handler still goes the way that the job went."""
        return self.verdict is not ReplayVerdict.DIFFERS


class _WouldGoOn(BaseException):
    """Ends a replay at the first step that is not stored."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


class _ReplayBook(StepBook):
    """Steps that are given back if they are stored, and never made."""

    __slots__ = ("went_on",)

    def __init__(self, holding: Holding, room: tuple[Reporter, ThreadCrew]) -> None:
        super().__init__(holding, room)
        self.went_on: _WouldGoOn | None = None

    async def keep(self, name: str, place: int, inputs: Any, make: Callable[[], Awaitable[bytes]]) -> bytes:
        if self.went_on is not None:
            raise self.went_on
        return await super().keep(name, place, inputs, lambda: self._go_on(name))

    async def store(self, name: str, record: StepRecord) -> None:
        """Nothing is stored."""

    async def _go_on(self, name: str) -> NoReturn:
        self.went_on = self.went_on or _WouldGoOn(name)
        raise self.went_on


class _ReplayContext(JobContext):
    """A context whose steps are read from an export."""

    __slots__ = ()

    def begin_with(self, book: StepBook) -> None:
        """Take steps from ``book``."""
        self._book = book


async def replay(
    handler: Handlers | None, export: Mapping[str, Any], *, tasks: Iterable[WorkerTask] = ()
) -> ReplayReport:
    """Run the handler of an exported job again, offline, and say where that leads.

    ``handler`` is what a worker takes: one handler, a task, or a mapping from type to handler.
    ``export`` is what ``queue.export_job`` gave. Steps, sleeps, signals and parents' outcomes come from it;
    the first step that it lacks ends the replay, and no step function is called. Dependencies of tasks
    are made as a worker makes them.

    In a test: ``assert (await replay(handler, export)).agrees``. Raises ``InvalidJobError`` for an export
    that cannot be read, ``ConfigurationError`` when no handler is given for its type, or one that runs
    in a process, which has no steps.
    """
    history = read_export(export)
    resources = Resources()
    table = HandlerTable(handler, 1, tasks, resources)
    found = table.find(history.job["type"])
    if found is None or found.kind is HandlerKind.PROCESS:
        problem = "there is no handler" if found is None else "a function in a process has no steps"
        raise ConfigurationError(f"jobs of type {history.job['type']!r} cannot be replayed: {problem}")
    await resources.open()
    try:
        return await _run(history, table, found)
    finally:
        table.close()
        await resources.close()


async def _run(history: History, table: HandlerTable, found: Found) -> ReplayReport:
    job = history.job
    claimed = Claimed(job["id"], "replay", b"", max(int(job["attempts"]), 1), 0, len(history.steps))
    spec = JobSpec(
        SPEC_FORMAT,
        job["type"],
        job["payload"],
        max_attempts=job["max_attempts"],
        priority=job["priority"],
        created_at=job["created_at"],
        metadata=job["metadata"],
    )
    holding = Holding(claimed, 0)
    reader = ExportReader(history)
    book = _ReplayBook(holding, (reader, table.threads))
    context = _ReplayContext(holding, spec, job["payload"], ("replay", "replay"), reader, table.threads)
    context.begin_with(book)
    dispatcher = Dispatcher(table, lambda _: None, lambda: None)
    result, error = None, None
    try:
        result = await dispatcher.run(holding, context, found)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise
    except BaseException as raised:
        error = raised
    if book.went_on is not None:
        return _at_a_missing_step(history, book.went_on.step)
    if isinstance(error, StepMismatchError):
        return _differs(error.step or "", f"StepMismatch: {error}")
    if context.suspension is not None:
        return _at_a_wait(history, context.suspension.reason)
    if error is not None:
        return _at_an_error(history, f"{type(error).__name__}: {error}")
    return _at_the_end(history, result, _not_taken(history, book))


def _at_a_missing_step(history: History, step: str) -> ReplayReport:
    if history.status is JobStatus.COMPLETED:
        return _differs(step, "StepMismatch: the handler takes it, and the job did not")
    return ReplayReport(ReplayVerdict.WOULD_GO_ON, f"would go on with step {step!r}", step)


def _at_a_wait(history: History, reason: str) -> ReplayReport:
    if history.status is JobStatus.COMPLETED:
        return ReplayReport(
            ReplayVerdict.DIFFERS, f"differs at the end: the handler waits ({reason}), and the job completed"
        )
    return ReplayReport(ReplayVerdict.WOULD_GO_ON, f"would go on by waiting: {reason}")


def _at_an_error(history: History, problem: str) -> ReplayReport:
    if history.status is JobStatus.FAILED and history.job["error"] == problem:
        return ReplayReport(ReplayVerdict.SAME, f"replayed to the end, same error: {problem}")
    if history.status.is_final and history.status is not JobStatus.CANCELLED:
        return ReplayReport(ReplayVerdict.DIFFERS, f"differs at the end: the handler raises {problem}")
    return ReplayReport(ReplayVerdict.WOULD_END, f"replayed to the end: would fail with {problem}")


def _at_the_end(history: History, result: Any, left: str | None) -> ReplayReport:
    shown = encode_result(result)
    if left is not None and history.status is JobStatus.COMPLETED:
        return _differs(left, "StepMismatch: the job finished it, and the handler does not take it")
    if history.status is JobStatus.COMPLETED:
        if decode(shown) == history.job["result"]:
            return ReplayReport(ReplayVerdict.SAME, "replayed to the end, same result")
        return ReplayReport(
            ReplayVerdict.DIFFERS, f"differs at the end: another result, {shown.decode()[:200]}"
        )
    if history.status is JobStatus.FAILED:
        return ReplayReport(ReplayVerdict.DIFFERS, "differs at the end: completes, and the job failed")
    return ReplayReport(
        ReplayVerdict.WOULD_END, f"replayed to the end: would complete with {shown.decode()[:200]}"
    )


def _differs(step: str, why: str) -> ReplayReport:
    return ReplayReport(ReplayVerdict.DIFFERS, f"differs at step {step!r}: {why}", step)


def _not_taken(history: History, book: StepBook) -> str | None:
    left = [name for name in history.steps if name not in book.used]
    places = {name: read_step(_encoder.encode(history.steps[name])).place for name in left}
    return min(left, key=places.__getitem__, default=None)
