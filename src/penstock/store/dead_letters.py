"""``queue.dead_letters``: jobs that failed for good, looked at, put back and discarded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from penstock.core.acceptance import encode_whole, lane_of
from penstock.core.codec import JobSpec, decode_spec
from penstock.core.compression import compressed
from penstock.core.errors import DeadLetterError, InvalidJobError, JobNotFoundError, NewerFormatError
from penstock.core.job import JobStatus
from penstock.core.names import check_job_id
from penstock.store.connect import translated
from penstock.store.engine import Engine
from penstock.store.letters import DeadLetter, Swept, order_of, read_letter
from penstock.store.records import load_job
from penstock.store.script_calls import BATCH

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue

PAGE = 100


class DeadLetters:
    """The dead letters of one queue.

    Each goes when its job's retention is over, ``dead_letter_ttl_days`` after it failed. Every verb
    raises ``QueueUnavailableError`` while the server cannot be used.
    """

    def __init__(self, queue: RedisStreamsQueue) -> None:
        """Look after the dead letters of ``queue``."""
        self._engine: Engine = queue.engine
        self._queue_name = queue.queue_name

    async def list(
        self, limit: int = PAGE, *, before: str | None = None, after: str | None = None
    ) -> list[DeadLetter]:
        """Up to ``limit`` dead letters, newest first; older than the ``letter_id`` ``before``.

        With ``after``, those newer than that ``letter_id``, oldest first.
        """
        client = cast("Any", self._engine.client)
        first = "-" if after is None else f"({after}"
        last = "+" if before is None else f"({before}"
        with translated(self._engine.where):
            if after is not None:
                entries = await client.xrange(self._engine.keys.dlq, first, last, count=limit)
            else:
                entries = await client.xrevrange(self._engine.keys.dlq, last, first, count=limit)
        return [read_letter(letter_id, fields) for letter_id, fields in entries]

    async def get(self, job_id: str) -> DeadLetter | None:
        """The dead letter of a job with its whole payload, or ``None`` if the job is no dead letter."""
        check_job_id(job_id)
        client, keys = cast("Any", self._engine.client), self._engine.keys
        with translated(self._engine.where):
            letter_id = await client.hget(keys.job + job_id, "letter")
            entries = await client.xrange(keys.dlq, letter_id, letter_id) if letter_id else []
        if not entries:
            return None
        letter = read_letter(*entries[0])
        if letter.damaged:
            return letter
        job = await load_job(self._engine, job_id, self._queue_name)
        return letter if job is None else replace(letter, payload=job.payload)

    async def requeue(self, job_id: str, payload: Any = None) -> None:
        """Put the job back under its own id, with its finished steps and all its attempts.

        ``payload`` replaces the payload, unless it is ``None``. Raises ``JobNotFoundError`` for a job that
        is not kept, ``DeadLetterError`` for one that has not failed or cannot be run, ``InvalidJobError``
        for a payload that cannot be accepted.
        """
        check_job_id(job_id)
        codes = await self._requeue([job_id], payload)
        self._raise_for(job_id, codes[job_id], "put back")

    async def requeue_many(
        self,
        ids: Iterable[str] | None = None,
        *,
        error_contains: str = "",
        type: str | None = None,  # noqa: A002 - the job's field
    ) -> Swept:
        """Put back these jobs, or all dead letters of this moment that match.

        A letter matches when its error contains ``error_contains`` and its job is of ``type``.
        """
        return await self._sweep(self._requeue, "put back", ids, error_contains, type)

    async def discard(self, job_id: str) -> None:
        """Forget the job with all it has.

        Raises ``JobNotFoundError`` for a job that is not kept, ``DeadLetterError`` for one that has not
        failed, or whose failure history has not yet read.
        """
        check_job_id(job_id)
        codes = await self._discard([job_id])
        self._raise_for(job_id, codes[job_id], "discarded")

    async def discard_many(
        self,
        ids: Iterable[str] | None = None,
        *,
        error_contains: str = "",
        type: str | None = None,  # noqa: A002 - the job's field
    ) -> Swept:
        """Forget these jobs, or all dead letters of this moment that match, as for ``requeue_many``."""
        return await self._sweep(self._discard, "discarded", ids, error_contains, type)

    async def _requeue(self, ids: Sequence[str], payload: Any = None) -> dict[str, str]:
        specs = await self._specs(ids)
        codes, entries = {}, []
        for job_id in ids:
            try:
                entries.append(
                    _entry(job_id, specs[job_id], payload, self._engine.config.compress_above_bytes)
                )
            except NewerFormatError as error:
                codes[job_id] = str(error)
        once = {"group": self._engine.config.consumer_group, "keep_ms": self._engine.keep_ms}
        answers = await self._engine.call("requeue", once, entries) if entries else []
        return codes | {entry[0]: answer.decode() for entry, answer in zip(entries, answers, strict=True)}

    async def _discard(self, ids: Sequence[str]) -> dict[str, str]:
        once = {"required": len(self._engine.config.event_groups)}
        answers = await self._engine.call("discard", once, [(job_id,) for job_id in ids])
        return {job_id: answer.decode() for job_id, answer in zip(ids, answers, strict=True)}

    async def _specs(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        with translated(self._engine.where):
            pipe = cast("Any", self._engine.client.pipeline(transaction=False))
            for job_id in ids:
                pipe.hget(self._engine.keys.job + job_id, "spec")
            found = await pipe.execute(raise_on_error=False)
        return {
            job_id: spec if isinstance(spec, bytes) else None for job_id, spec in zip(ids, found, strict=True)
        }

    async def _sweep(
        self,
        verb: Callable[[Sequence[str]], Any],
        what: str,
        ids: Iterable[str] | None,
        error_contains: str,
        job_type: str | None,
    ) -> Swept:
        swept = Swept([], {})
        batches = _matching(self, error_contains, job_type) if ids is None else _batches(ids)
        async for batch in batches:
            for job_id, code in (await verb(batch)).items():
                if code == "ok":
                    swept.done.append(job_id)
                else:
                    swept.refused[job_id] = self._reason(job_id, code, what)
        return swept

    def _raise_for(self, job_id: str, code: str, what: str) -> None:
        if code == "ok":
            return
        kind = JobNotFoundError if code == "gone" else DeadLetterError
        raise kind(f"job {job_id} cannot be {what}: {self._reason(job_id, code, what)}")

    def _reason(self, job_id: str, code: str, what: str) -> str:
        if code == "gone":
            return f"queue {self._queue_name} keeps no such job"
        if code in set(JobStatus):
            return f"it is {code}; only a job that has failed can be {what}"
        if code.startswith("unique "):
            return f"job {code.removeprefix('unique ')} holds its unique key; wait for its end or cancel it"
        return _REASONS.get(code, code)


_REASONS: Mapping[str, str] = {
    "damaged": "it is damaged, so there is nothing to run; look at its raw content and enqueue a new job",
    "corrupt": "it is damaged and not yet set aside; a worker or janitor does that when it meets it",
    "unread": "history has not read its failure yet; try again in a moment",
    "untold": "the jobs that waited for it have not heard of its failure yet; try again in a moment",
}


def _entry(job_id: str, raw: bytes | None, payload: Any, above_bytes: int) -> tuple[str, str, bytes, bytes]:
    """What the script takes: the lane, and with an edited payload the new spec."""
    try:
        spec = JobSpec() if raw is None else decode_spec(raw)
    except NewerFormatError:
        raise
    except InvalidJobError:
        return job_id, "normal", b"", b""
    if payload is None or raw is None:
        return job_id, lane_of(spec.priority), b"", b""
    spec.payload, spec.payload_apart = payload, False
    encoded, apart = encode_whole(spec)
    return job_id, lane_of(spec.priority), encoded, compressed(apart, above_bytes)


async def _matching(
    letters: DeadLetters, error_contains: str, job_type: str | None
) -> AsyncIterator[list[str]]:
    newest = await letters.list(1)
    if not newest:
        return
    # What fails anew while this goes on is not looked at again.
    end, after = order_of(newest[0].letter_id), "0-0"
    while page := await letters.list(BATCH, after=after):
        after = page[-1].letter_id
        found = [
            letter.job_id
            for letter in page
            if order_of(letter.letter_id) <= end
            and error_contains in letter.error
            and job_type in (None, letter.type)
        ]
        if found:
            yield list(dict.fromkeys(found))
        if order_of(after) >= end:
            return


async def _batches(ids: Iterable[str]) -> AsyncIterator[list[str]]:
    wanted = [check_job_id(job_id) for job_id in dict.fromkeys(ids)]
    for at in range(0, len(wanted), BATCH):
        yield wanted[at : at + BATCH]
