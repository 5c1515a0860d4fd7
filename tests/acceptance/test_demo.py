"""The demo as a user runs it: the whole stack, a real kill, verified webhooks, and nothing left behind."""

import json
import os
import signal
from pathlib import Path

import pytest

from penstock.cli.demo.library import LARGE_NAME
from penstock.worker.reporter import Reporter
from tests.acceptance.command_line import REPOSITORY, TRACEBACK, Finished, penstock, written
from tests.harness.guardian import Guardian
from tests.harness.processes import ProcessStarter

TEXTS = {
    "gate.md": "# The gate\n\nThe gate opens slowly, because a fast gate breaks the pipe.\n" * 40,
    "notes/plain.txt": "Water falls through the pipe. The wheel turns, and the hall hums.\n",
}
GOALS = [
    "Count the words in notes/plain.txt.",
    f"Count the words in {LARGE_NAME}, then give the 8 key words of {LARGE_NAME}.",
    'How often does "gate" occur in gate.md?',
]
KEYS = {
    *("runs", "jobs", "completed", "failed", "workers_killed", "reclaimed", "steps_repeated"),
    *("webhooks_verified", "webhooks_refused", "history_rows", "recovery_seconds", "seconds"),
}

FORGET_FINISHED_STEPS = """
from penstock.worker.reporter import Reporter

async def forgotten(self, job_id):
    return {}

Reporter.load_steps = forgotten
"""


@pytest.fixture
def scratch(guardian: Guardian) -> Path:
    """Where the demo's temporary files go; empty again when all went well."""
    return guardian.directory("scratch")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A small demo of the test's own."""
    written(tmp_path / "texts", TEXTS)
    lines = "".join(json.dumps({"goal": goal}) + "\n" for goal in GOALS)
    goals = written(tmp_path, {"goals.jsonl": lines}) / "goals.jsonl"
    return ["--goals", str(goals), "--texts", str(tmp_path / "texts")]


async def demo(scratch: Path, *words: str, extra_path: Path | None = None) -> Finished:
    extra = {"TMPDIR": str(scratch)}
    if extra_path is not None:
        extra["PYTHONPATH"] = os.pathsep.join([str(extra_path), str(REPOSITORY / "src")])
    return await penstock("demo", *words, cwd=scratch.parent, extra_environment=extra)


def left_in(folder: Path) -> set[str]:
    # A process that is measured leaves its measurements where it stood.
    return {path.name for path in folder.iterdir() if not path.name.startswith(".coverage")}


async def test_a_killed_worker_costs_time_and_nothing_else(words: list[str], scratch: Path) -> None:
    finished = await demo(scratch, *words, "--json")
    assert finished.code == 0, finished.stderr
    (line,) = finished.stdout.splitlines()
    numbers = json.loads(line)
    assert numbers.keys() == KEYS
    for name in ("runs", "jobs", "completed", "webhooks_verified", "history_rows"):
        assert numbers[name] == len(GOALS), name
    for name in ("failed", "steps_repeated", "webhooks_refused"):
        assert numbers[name] == 0, name
    assert numbers["workers_killed"] == 1
    assert numbers["reclaimed"] >= 1
    assert 0 < numbers["recovery_seconds"] <= 20
    assert numbers["recovery_seconds"] < numbers["seconds"]
    for told in ("Killed worker-", "key_words-1", "goes on with", "was finished before", "from PostgreSQL"):
        assert told in finished.stderr
    assert TRACEBACK not in finished.stderr
    assert left_in(scratch) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
async def test_a_signal_stops_everything(
    number: signal.Signals, words: list[str], scratch: Path, processes: ProcessStarter
) -> None:
    process = await processes.python("-m", "penstock", "demo", *words, environment={"TMPDIR": str(scratch)})
    await process.line("goals are submitted", timeout_seconds=60)
    os.kill(process.pid, number)
    assert await process.exited(60) == 130
    assert "Stopped" in process.stderr[-1]
    assert TRACEBACK not in process.output
    assert left_in(scratch) == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"--goals": "nowhere.jsonl"}, "cannot be read"),
        ({"--goals": "empty.jsonl"}, "has no goal"),
        ({"--goals": "wrong.jsonl"}, "line 2: goal: Field required"),
        ({"--goals": "broken.jsonl"}, "line 1"),
        ({"--texts": "nowhere"}, "no folder"),
        ({"--texts": "empty"}, "no text file"),
        ({"--workers": "1"}, "--workers"),
    ],
)
async def test_what_cannot_be_done_is_said_before_anything_starts(
    change: dict[str, str], said: str, words: list[str], tmp_path: Path, scratch: Path
) -> None:
    files = {
        "empty/.hidden": "",
        "empty.jsonl": "\n",
        "wrong.jsonl": '{"goal": "Count the files."}\n{"gaol": "Count the files."}\n',
        "broken.jsonl": "{goal: Count the files.}\n",
    }
    written(tmp_path, files)
    options = dict(zip(words[::2], words[1::2], strict=True))
    for name, value in change.items():
        options[name] = value if value.isdigit() else str(tmp_path / value)
    finished = await demo(scratch, *(word for pair in options.items() for word in pair))
    assert finished.code == 2
    assert said in finished.stderr
    assert "is started" not in finished.stdout
    assert TRACEBACK not in finished.stderr
    assert left_in(scratch) == set()


@pytest.mark.slow
async def test_a_goal_that_cannot_be_reached_is_told_and_is_no_success(
    words: list[str], tmp_path: Path, scratch: Path
) -> None:
    goals = tmp_path / "goals.jsonl"
    goals.write_text(goals.read_text() + '{"goal": "Bake a cake."}\n')
    finished = await demo(scratch, *words, "--json")
    assert finished.code == 1
    numbers = json.loads(finished.stdout)
    assert (numbers["completed"], numbers["failed"]) == (len(GOALS), 1)
    assert numbers["webhooks_verified"] == numbers["history_rows"] == len(GOALS) + 1
    assert "1 of 4 runs failed" in finished.stderr
    assert "the offline model cannot plan this" in finished.stderr


@pytest.mark.slow
async def test_a_repeated_step_is_noticed(words: list[str], tmp_path: Path, scratch: Path) -> None:
    """The same demo with workers that forget finished steps: it must not say that all is well."""
    assert callable(Reporter.load_steps)
    patched = written(tmp_path / "patch", {"sitecustomize.py": FORGET_FINISHED_STEPS})
    finished = await demo(scratch, *words, "--json", extra_path=patched)
    assert finished.code == 1
    assert json.loads(finished.stdout)["steps_repeated"] >= 1
    assert "finished steps were repeated" in finished.stderr
