"""Processes and ledgers of the harness: read, frozen, ended, and waited for."""

import asyncio
import signal

import pytest
import uvloop

from tests.harness.guardian import Guardian
from tests.harness.ledger import Ledger, append
from tests.harness.processes import ProcessStarter
from tests.harness.servers import Server
from tests.harness.waiting import WaitTimeout

TALKER = """
import os, signal, sys
from tests.harness.ledger import record
print("on stderr", file=sys.stderr)
record("started", word=os.environ["GREETING"])
print(os.environ["GREETING"], "from", os.getpid())
signal.pause()
"""

ECHO = """
import os, sys
print(os.environ["PENSTOCK_REDIS_URL"])
print(*sys.argv[1:])
"""

FAMILY = """
import os, time
from tests.harness.ledger import record
parent = os.getpid()
who = "a" if os.fork() else "b"
while who == "a" or os.getppid() == parent:
    record(who, who=who)
    time.sleep(0.01)
"""


async def test_lines_ledger_and_end(processes: ProcessStarter, ledger: Ledger) -> None:
    process = await processes.python("-c", TALKER, environment={"GREETING": "hello"})
    assert await process.line("^hello from") == f"hello from {process.pid}"
    (entry,) = await ledger.count("started", 1)
    assert (entry["pid"], entry["word"]) == (process.pid, "hello")
    process.terminate()
    assert await process.exited() == -signal.SIGTERM
    assert process.stderr == ["on stderr"]
    with pytest.raises(WaitTimeout, match=r"(?s)ended without a line like 'bye'.*on stderr"):
        await process.line("bye", timeout_seconds=60)


async def test_frozen_parts_stand_still_and_go_on(
    processes: ProcessStarter,
    ledger: Ledger,
) -> None:
    family = await processes.python("-c", FAMILY)
    await ledger.until(lambda entries: {entry["who"] for entry in entries} >= {"a", "b"})
    family.stop_parent()
    children = len(ledger.entries("b"))
    parents = len(ledger.entries("a"))
    await ledger.count("b", children + 5)
    assert len(ledger.entries("a")) == parents
    family.stop_group()
    family.cont_parent()
    await ledger.count("a", parents + 5)
    children = len(ledger.entries("b"))
    await ledger.count("a", parents + 10)
    assert len(ledger.entries("b")) == children
    family.cont_group()
    await ledger.count("b", children + 5)
    family.kill()
    assert await family.exited() == -signal.SIGKILL


async def test_worker_arguments_and_environment(
    processes: ProcessStarter, target: Server, guardian: Guardian
) -> None:
    package = guardian.directory("echo") / "penstock"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(ECHO)
    worker = await processes.worker(
        "tests.nowhere:handlers",
        "--more",
        queue="q",
        worker_id="w",
        concurrency=3,
        environment={"PYTHONPATH": str(package.parent)},
    )
    assert await worker.exited() == 0
    assert worker.lines == [
        target.url,
        "worker --queue q --handlers tests.nowhere:handlers --worker-id w --concurrency 3 --more",
    ]


async def test_the_ledger_says_what_it_holds_instead(ledger: Ledger) -> None:
    append(ledger.path, "one", step="a")
    with pytest.raises(WaitTimeout, match="'step': 'a'"):
        await ledger.count("two", 1, timeout_seconds=0.05)


async def test_the_loop_is_asyncios_unless_wanted() -> None:
    assert not isinstance(asyncio.get_running_loop(), uvloop.Loop)


@pytest.mark.uvloop
async def test_a_process_on_uvloop(processes: ProcessStarter) -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    process = await processes.python("-c", "print('done')")
    assert await process.exited() == 0
    assert process.lines == ["done"]
