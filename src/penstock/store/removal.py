"""Removing a whole queue, for those who made one for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from penstock.store.connect import translated
from penstock.store.keys import registry

if TYPE_CHECKING:
    from penstock.store.streams import RedisStreamsQueue

_PAGE = 500
_GLOB_CHARACTERS = str.maketrans({character: f"\\{character}" for character in "\\*?[]"})


async def remove_queue(queue: RedisStreamsQueue) -> int:
    """Delete every key of a queue and its entry among the queues; return how many keys went.

    Jobs that wait or run are gone with it, so stop its workers first. All keys of the server are
    looked through, which takes a while on a large one.
    """
    engine = queue.engine
    client = cast("Any", engine.client)
    removed = 0
    with translated(engine.where):
        page: list[bytes] = []
        async for key in client.scan_iter(
            match=f"{engine.keys.base.translate(_GLOB_CHARACTERS)}:*", count=_PAGE
        ):
            page.append(key)
            if len(page) == _PAGE:
                removed += await client.unlink(*page)
                page.clear()
        if page:
            removed += await client.unlink(*page)
        await client.hdel(registry(queue.config.key_prefix), queue.queue_name)
    return removed
