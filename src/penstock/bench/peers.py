"""Which peers take part, and their environments."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from penstock.bench.systems import PEERS, System, peer, source_tree
from penstock.core.errors import ConfigurationError

MAKE_SECONDS = 900.0


async def chosen_peers(
    only: Sequence[str], *, wanted: bool | None, by_default: bool, redis_url: str | None
) -> list[System]:
    """The peers to measure, their environments made where they are missing.

    ``wanted`` is what was asked for; when it is ``None`` peers take part ``by_default``, if this is a
    source tree. An environment that cannot be made shows in the run as a peer that does not start.

    Raises ``ConfigurationError`` for peers asked for where they cannot be measured, or unknown ones.
    """
    unknown = [name for name in only if name not in PEERS]
    if unknown:
        raise ConfigurationError(f"--peer {unknown[0]!r} is not known: expected one of {', '.join(PEERS)}")
    tree = source_tree()
    if wanted is False or (wanted is None and not (by_default and tree)):
        return []
    if redis_url is not None:
        raise ConfigurationError(
            "peers are measured on an embedded server only, because they would write among what the server "
            "at --redis-url holds: leave out --redis-url, or say --no-peers"
        )
    if tree is None:
        raise ConfigurationError(
            "peers need the folder bench/peers of Penstock's source tree: run in one, or say --no-peers"
        )
    names = only or PEERS
    await _make_environments(tree, names)
    return [peer(tree, name) for name in names]


async def _make_environments(tree: Path, names: Sequence[str]) -> None:
    script = tree / "bench" / "environments.py"
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), *names, stdout=sys.stderr)
    try:
        async with asyncio.timeout(MAKE_SECONDS):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
