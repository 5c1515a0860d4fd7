"""A process that uses an embedded PostgreSQL until a line, or the end, comes on its standard input.

    postgres_user.py DATA_DIR [USER_ID SCRATCH_DIR]

It says one line of JSON when ready or failed, and one when stopped. With a user id, root turns into
that user first.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from unittest import mock

from penstock.core.errors import PenstockError
from penstock.runs.embedded import EmbeddedPostgres
from penstock.runs.embedded.account import Account
from penstock.runs.embedded.programs import find_programs, programs_for


def say(**facts: object) -> None:
    """Write one line of JSON for the test that started this process."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def use(data_dir: Path) -> None:
    """Start, say so, wait for the word to go, stop."""
    try:
        async with EmbeddedPostgres(data_dir, settings={"fsync": "off"}) as embedded:
            say(url=embedded.url, pid=embedded.pid, adopted=embedded.adopted)
            await asyncio.to_thread(sys.stdin.readline)
    except PenstockError as error:
        say(error=str(error))
    else:
        say(stopped=True)


def become(user_id: int, scratch: Path) -> None:
    """Give up root, with everything loaded that this user may not be allowed to read."""
    account = Account("nobody", user_id, user_id)
    programs = programs_for(account, find_programs(), scratch)
    mock.patch("penstock.runs.embedded.server.find_programs", return_value=programs).start()
    if not account.may_read(Path(asyncio.__file__)) or not account.may_read(Path(mock.__file__)):
        asyncio.run(warm_up(scratch / "as-root"))
    os.setgroups([])
    os.setgid(user_id)
    os.setuid(user_id)


async def warm_up(data_dir: Path) -> None:
    """Start and stop once."""
    async with EmbeddedPostgres(data_dir, settings={"fsync": "off"}):
        return


if __name__ == "__main__":
    if len(sys.argv) > 2:
        become(int(sys.argv[2]), Path(sys.argv[3]))
    asyncio.run(use(Path(sys.argv[1])))
