"""A process that uses an embedded server until a line, or the end, comes on its standard input.

    embedded_user.py DATA_DIR [USER_ID SCRATCH_DIR]

It says one line of JSON when ready or failed, and one when stopped; on SIGINT, whether the server
still answers. With a user id, root turns into that user first.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from unittest import mock

from redis.asyncio import Redis

from penstock.core.errors import PenstockError
from penstock.store.embedded import EmbeddedValkey
from penstock.store.embedded.binary import find_binary


def say(**facts: object) -> None:
    """Write one line of JSON for the test that started this process."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def answers(url: str) -> bool:
    """Whether the server at ``url`` answers."""
    async with Redis.from_url(url) as client:
        return bool(await client.ping())


async def use(data_dir: Path) -> None:
    """Start, say so, wait for the word to go, stop."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    try:
        async with EmbeddedValkey(data_dir) as embedded:
            say(url=embedded.url, pid=embedded.pid, adopted=embedded.adopted)
            word = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
            signalled = asyncio.create_task(interrupted.wait())
            await asyncio.wait([word, signalled], return_when=asyncio.FIRST_COMPLETED)
            if signalled.done():
                say(alive=await answers(embedded.url))
            await word
            signalled.cancel()
    except PenstockError as error:
        say(error=str(error))
    else:
        say(stopped=True)


def become(user_id: int, scratch: Path) -> None:
    """Give up root, with everything loaded that this user may not be allowed to read.

    An installation below root's home is closed to others, so the modules come from a first round
    as root, and the server program from a copy.
    """
    copy = scratch / f"valkey-server-{os.getpid()}"
    shutil.copyfile(find_binary(), copy)
    for path in (scratch, copy):
        path.chmod(0o755)
    mock.patch("penstock.store.embedded.server.find_binary", return_value=copy).start()
    asyncio.run(warm_up(scratch / "as-root"))
    os.setgroups([])
    os.setgid(user_id)
    os.setuid(user_id)


async def warm_up(data_dir: Path) -> None:
    """Start, ask and stop once."""
    async with EmbeddedValkey(data_dir) as embedded:
        await answers(embedded.url)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        become(int(sys.argv[2]), Path(sys.argv[3]))
    asyncio.run(use(Path(sys.argv[1])))
