"""The demo as a user runs it: real server, real workers, a real kill, and nothing left behind."""

import json
import os
import signal
from pathlib import Path

import pytest
import redis.asyncio

from tests.acceptance.command_line import REPOSITORY, TRACEBACK, Finished, penstock, written
from tests.harness.guardian import Guardian
from tests.harness.processes import ProcessStarter
from tests.harness.servers import Server

DOCUMENTS = {
    "index.md": "# The hall\n\nA penstock brings water to the wheel. [The gate](gate.md) [no](no.md).\n",
    "gate.md": "# The gate\n\nThe gate opens slowly, because a fast gate breaks the pipe.\n",
    "notes/plain.txt": "Water falls through the pipe. The wheel turns, and the hall hums.\n",
    "notes/code.py": '"""Open the gate before the wheel is asked to turn."""\n',
    "picture.bin": b"\x00\x01\x02",
    "empty.md": "",
}
# The documents, the large text made of them, and the report.
JOBS = 4 + 1 + 1

FORGET_FINISHED_STEPS = """
from penstock.worker.context import JobContext

async def forgotten(self):
    return {}

JobContext._stored_steps = forgotten
"""


@pytest.fixture
def scratch(guardian: Guardian) -> Path:
    """Where the demo's temporary files go; empty again when all went well."""
    return guardian.directory("scratch")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def demo(
    folder: Path, scratch: Path, *words: str, redis_url: str | None = None, extra_path: Path | None = None
) -> Finished:
    extra = {"TMPDIR": str(scratch)}
    if extra_path is not None:
        extra["PYTHONPATH"] = os.pathsep.join([str(extra_path), str(REPOSITORY / "src")])
    return await penstock("demo", *words, cwd=folder, redis_url=redis_url, extra_environment=extra)


async def test_a_killed_worker_costs_time_and_nothing_else(tmp_path: Path, scratch: Path) -> None:
    folder = written(tmp_path / "docs", DOCUMENTS)
    finished = await demo(folder, scratch, "--json")
    assert finished.code == 0, finished.stderr
    numbers = json.loads(finished.stdout.splitlines()[-1])
    assert {name: numbers[name] for name in ("jobs", "completed", "failed")} == {
        "jobs": JOBS,
        "completed": JOBS,
        "failed": 0,
    }
    assert (numbers["workers_killed"], numbers["steps_repeated"]) == (1, 0)
    assert numbers["reclaimed"] >= 1
    assert 0 < numbers["recovery_seconds"] <= 20
    assert numbers["recovery_seconds"] < numbers["seconds"] < 60
    assert len(numbers) == 8
    for told in ("one of 12 MiB is made", "Killed demo-", "goes on with", "was finished before"):
        assert told in finished.stderr
    report = (folder / "demo-report.md").read_text()
    assert "| index.md | 3 | no.md | no such file |" in report
    assert "| documents | 4 |" in report
    assert "> The gate opens slowly, because a fast gate breaks the pipe." in report
    assert names_in(folder) == {
        *(path.partition("/")[0] for path in DOCUMENTS),
        "demo-report.md",
    }
    assert names_in(scratch) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything(
    number: signal.Signals,
    tmp_path: Path,
    scratch: Path,
    valkey: Server,
    processes: ProcessStarter,
    redis_client: redis.asyncio.Redis,
) -> None:
    """On a server that was given, whose keys must be as before."""
    folder = written(tmp_path / "docs", DOCUMENTS)
    report = folder / "report.md"
    words = ["-m", "penstock", "demo", str(folder), "--report", str(report)]
    process = await processes.python(*words, environment={"TMPDIR": str(scratch)})
    await process.line("Killed demo-")
    assert await redis_client.dbsize() > 0
    os.kill(process.pid, number)
    assert await process.exited() == 130
    assert "Stopped" in process.stderr[-1]
    assert TRACEBACK not in process.output
    assert not report.exists()
    assert names_in(scratch) == set()
    assert await redis_client.keys() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "does not exist"),
        (["index.md"], "is a file"),
        (["empty"], "no text file"),
        ([".", "--report", "empty"], "cannot be written"),
        ([".", "--report", "missing/report.md"], "cannot be written"),
        ([".", "--workers", "1"], "--workers"),
    ],
)
async def test_what_cannot_be_done_is_said_before_anything_starts(
    words: list[str], said: str, tmp_path: Path, scratch: Path
) -> None:
    folder = written(tmp_path, {**DOCUMENTS, "empty/nothing.txt": ""})
    finished = await demo(folder, scratch, *words)
    assert finished.code == 2
    assert said in finished.stderr
    assert TRACEBACK not in finished.stderr
    assert names_in(scratch) == set()


@pytest.mark.slow
async def test_a_repeated_step_is_noticed(tmp_path: Path, scratch: Path) -> None:
    """The same demo with workers that forget finished steps: it must not say that all is well."""
    folder = written(tmp_path / "docs", DOCUMENTS)
    patched = written(tmp_path / "patch", {"sitecustomize.py": FORGET_FINISHED_STEPS})
    finished = await demo(folder, scratch, "--json", extra_path=patched)
    assert finished.code == 1
    assert json.loads(finished.stdout.splitlines()[-1])["steps_repeated"] >= 1
    assert "finished steps were repeated" in finished.stderr
