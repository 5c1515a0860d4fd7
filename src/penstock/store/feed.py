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
    if await watch.page(job_id, "0"):
        # The place is behind the entry that says so.
        return None
    end = _end_without_feed(job)
    return None if _is_behind(place, end.id) else [end]


def _end_without_feed(job: Job) -> Entry:
    """The end of a job that had no feed, since nobody watched it and it emitted nothing."""
    at_ms = round((job.completed_at or 0) * 1000)
    return Entry(f"{at_ms}-0", "end", at_ms, job.status.value.encode())


def _is_behind(place: str, end: str) -> bool:
    def numbers(entry_id: str) -> tuple[int, ...]:
        return tuple(int(part) for part in entry_id.split("-"))

    return numbers(place) >= numbers(end)


def _read(entry: Entry) -> FeedEntry:
    value = entry.body.decode() if entry.kind == "end" else decode(entry.body)
    return FeedEntry(entry.id, cast("FeedKind", entry.kind), value, entry.at_ms / 1000)
