"""The live feed of a job: what it emitted, in order, from any point on, to its end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from penstock.core.codec import decode
from penstock.core.errors import InvalidJobError, QueueUnavailableError
from penstock.core.job import FINAL_STATUSES, Job
from penstock.store.results import not_found
from penstock.store.watching import Entry, Watch

FeedKind: TypeAlias = Literal["emit", "step", "progress", "end"]

_PLACE = re.compile(r"\d{1,20}(-\d{1,20})?")


class FeedEntry(NamedTuple):
    """One entry of a job's live feed.

    ``id`` is its place: give it as ``after`` to go on behind it. ``kind`` is ``emit`` (``value`` is what
    the handler emitted), ``step`` or ``progress``, or ``end`` (``value`` is the final status). ``at`` is
    when, in seconds since the epoch.
    """

    id: str
    kind: FeedKind
    value: Any
    at: float


def check_place(after: Any) -> str:
    """Return ``after`` if it is the id of a feed entry or "0"; raise ``InvalidJobError`` otherwise."""
    if isinstance(after, str) and _PLACE.fullmatch(after):
        return after
    raise InvalidJobError(f'after must be the id of a feed entry, or "0" for the beginning, got {after!r}')


async def follow(watch: Watch, job_id: str, after: str) -> AsyncIterator[FeedEntry]:
    """The entries behind ``after``, as they come, to the end; see ``RedisStreamsQueue.follow``."""
    with watch.waiting(job_id, for_entries=True) as told:
        if await watch.status(job_id) not in FINAL_STATUSES:
            await watch.listener.start()
        place = after
        while True:
            told.clear()
            try:
                entries = await watch.page(job_id, place) or await _tail(watch, job_id, place)
            except QueueUnavailableError:
                # The feed goes on where it was as soon as the server is back.
                await watch.pause(told)
                continue
            if entries is None:
                return
            for entry in entries:
                place = entry.id
                yield _read(entry)
                if entry.kind == "end":
                    return
            if not entries:
                await watch.pause(told)


async def _tail(watch: Watch, job_id: str, place: str) -> list[Entry] | None:
    """What follows the last entry known: nothing yet, the end, or ``None`` when that was the end."""
    status = await watch.status(job_id)
    if status not in (*FINAL_STATUSES, "gone"):
        return []
    # What it wrote between the two looks, its end included.
    if entries := await watch.page(job_id, place):
        return entries
    job = await watch.job(job_id)
    if job is None:
        raise not_found(job_id)
    last = await watch.last(job_id)
    if last is not None and last.kind == "end":
        # The place is behind the entry that says so.
        return None
    end = _end_untold(job, last)
    return None if _numbers(place) >= _numbers(end.id) else [end]


def _end_untold(job: Job, last: Entry | None) -> Entry:
    """The end of a job whose feed does not tell it.

    Nobody watched it and it emitted nothing, or it was set aside as damaged.
    """
    at_ms = round((job.completed_at or 0) * 1000)
    place = (at_ms, 0)
    if last is not None:
        last_ms, last_number = _numbers(last.id)
        place = (last_ms, last_number + 1)
    return Entry(f"{place[0]}-{place[1]}", "end", at_ms, job.status.value.encode())


def _numbers(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def _read(entry: Entry) -> FeedEntry:
    value = entry.body.decode() if entry.kind == "end" else decode(entry.body)
    return FeedEntry(entry.id, cast("FeedKind", entry.kind), value, entry.at_ms / 1000)
